#!/usr/bin/python3
"""The real kernel's side of the IPVS oracle: runs the cases of cases.json, each with two fresh network namespaces (the
director, and the world in which its cards end), all by this one process, and writes what was seen to results.json."""
import ctypes, fcntl, json, os, shlex, socket, struct, subprocess, time

CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
ETH_P_ALL = 3
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCETHTOOL = 0x8913, 0x8914, 0x8946
ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM = 0x15, 0x17
IFF_UP = 1
# Above two ticks: what the kernel puts off has happened.
REST = 0.025
# The estimator's period and some more.
TICK_LIMIT = 2.5
STATS = "/proc/net/ip_vs_stats"
libc = ctypes.CDLL(None)


def checksum(data, start=0):
    if len(data) % 2:
        data += b"\0"
    total = start + sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pattern(length):
    return bytes((i + 1) & 255 for i in range(length))


def ip_packet(protocol, saddr, daddr, payload, ttl=64, frag=0):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 77, frag, ttl, protocol, 0) + saddr + daddr
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def back(frame, packets):
    return [frame[6:12] + frame[0:6] + b"\x08\0" + packet for packet in packets]


def reply_to(frame, step):
    """The answer of the station that got `frame`: ends swapped, other flags; in one piece or two."""
    ip = frame[14:]
    ihl = (ip[0] & 15) * 4
    saddr, daddr, l4 = ip[12:16], ip[16:20], ip[ihl:]
    ports = l4[2:4] + l4[0:2]
    tcp = ip[9] == 6
    payload = l4[20 if tcp else 8:] if "size" not in step else pattern(step["size"])
    if tcp:
        l4 = ports + l4[8:12] + l4[4:8] + bytes([0x50, step["flags"]]) + l4[14:16] + b"\0\0\0\0" + payload
        at = 16
    else:
        l4 = ports + struct.pack("!HH", 8 + len(payload), 0) + payload
        at = 6
    pseudo = daddr + saddr + struct.pack("!HH", ip[9], len(l4))
    value = checksum(pseudo + l4)
    l4 = l4[:at] + struct.pack("!H", value if tcp else value or 0xFFFF) + l4[at + 2:]
    ttl, df = step.get("ttl", 64), 0x4000 if step.get("df") else 0
    cut = step.get("cut", 0)
    if cut == 0 or cut >= len(l4):
        return back(frame, [ip_packet(ip[9], daddr, saddr, l4, ttl, df)])
    return back(frame, [ip_packet(ip[9], daddr, saddr, l4[:cut], ttl, 0x2000),
                        ip_packet(ip[9], daddr, saddr, l4[cut:], ttl, cut // 8)])


def icmp_about(frame, step):
    """An ICMP error of the station that got `frame`."""
    ip = frame[14:]
    body = bytes([step["type"], step["code"], 0, 0, 0, 0, 5, 0]) + ip[:step.get("quote", 28)]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    if step.get("damaged"):
        body = body[:-1] + bytes([body[-1] ^ 1])
    return back(frame, [ip_packet(1, ip[16:20], ip[12:16], body)])


def ioctl_interface(sock, name, number, tail):
    return fcntl.ioctl(sock, number, struct.pack("16s", name.encode()) + tail)


def set_up(sock, name):
    flags = struct.unpack_from("H", ioctl_interface(sock, name, SIOCGIFFLAGS, b"\0" * 24), 16)[0]
    ioctl_interface(sock, name, SIOCSIFFLAGS, struct.pack("H22x", flags | IFF_UP))


def checksums_by_software(sock, name):
    for command in (ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM):
        value = ctypes.create_string_buffer(struct.pack("II", command, 0))
        ioctl_interface(sock, name, SIOCETHTOOL, struct.pack("Q16x", ctypes.addressof(value)))


def new_namespace():
    assert libc.unshare(CLONE_NEWNET) == 0
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(ns):
    assert libc.setns(ns, CLONE_NEWNET) == 0


def run(line, stdin=""):
    words = shlex.split(line)
    done = subprocess.run(words, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(0.003)
    return {"status": done.returncode, "out": done.stdout}


def read(path):
    with open(path) as file:
        return file.read()


# From linux/ip_vs.h.
IP_VS_BASE = 64 + 1024 + 64
ADD, EDIT, DEL, ADD_DEST, DEL_DEST, EDIT_DEST = (IP_VS_BASE + n for n in (2, 3, 4, 7, 8, 9))
COMMANDS = {"-A": ADD, "-E": EDIT, "-D": DEL, "-a": ADD_DEST, "-d": DEL_DEST, "-e": EDIT_DEST}
PERSISTENT, ONE_PACKET, SCHED = 1, 4, 8
METHODS = {"-m": 0, "-i": 2, "-g": 3}
SCHED_FLAGS = {"sh-fallback": SCHED, "sh-port": SCHED << 1}


def endpoint(text):
    host, _, port = text.partition(":")
    return socket.inet_aton(host), socket.htons(int(port or 0))


def request(line):
    """An ipvsadm command line that changes services as what the kernel is asked for, None when it is another one."""
    words = line.split()
    number = COMMANDS.get(words[1])
    if number is None:
        return None
    protocol, at, mark, scheduler, flags, timeout, mask = 6, (b"\0" * 4, 0), 0, "wlc", 0, 0, b"\xff" * 4
    server, method, weight, upper, lower = (b"\0" * 4, 0), 3, 1, 0, 0
    rest = iter(words[2:])
    for word in rest:
        if word in METHODS:
            method = METHODS[word]
        elif word == "-o":
            flags |= ONE_PACKET
        else:
            value = next(rest)
            if word in ("-t", "-u"):
                protocol, at = (6 if word == "-t" else 17), endpoint(value)
            elif word == "-f":
                mark = int(value)
            elif word == "-s":
                scheduler = value
            elif word == "-p":
                flags, timeout = flags | PERSISTENT, int(value)
            elif word == "-M":
                mask = socket.inet_aton(value)
            elif word == "-b":
                flags |= sum(SCHED_FLAGS[flag] for flag in value.split(","))
            elif word == "-r":
                server = endpoint(value)
            elif word == "-w":
                weight = int(value)
            elif word == "-x":
                upper = int(value)
            elif word == "-y":
                lower = int(value)
            else:
                return None
    if method != 0 and mark == 0 and number != DEL_DEST:
        server = (server[0], at[1])
    service = struct.pack("H2x4sH2xI16sII4s", protocol, at[0], at[1], mark, scheduler.encode(), flags, timeout, mask)
    if number <= DEL:
        return number, service
    return number, service + struct.pack("4sH2xIiII", server[0], server[1], method, weight, upper, lower)


def write_parameter(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
        file.write(value)


class World:
    def __init__(self, case):
        self.world = new_namespace()
        self.director = new_namespace()
        world = f"/proc/{os.getpid()}/fd/{self.world}"
        cards = range(case["cards"])
        lines = [f"link add eth{i} address 02:00:00:00:01:{i:02x} type veth peer name t{i} netns {world}" for i in cards]
        self.must("ip -batch -", "\n".join(lines + case["ip"]))
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in cards:
            checksums_by_software(control, f"eth{i}")
        control.close()
        # As on a machine that is captured: what is received is shared with a reader, so fragments are cut anew.
        self.reader = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.reader.setblocking(False)
        enter(self.world)
        self.sockets = []
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in cards:
            set_up(control, f"t{i}")
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sock.bind((f"t{i}", ETH_P_ALL))
            sock.setblocking(False)
            self.sockets.append(sock)
        control.close()
        enter(self.director)
        if case["restore"]:
            self.must("iptables-restore", case["restore"])
        for name, value in case["sysctl"]:
            write_parameter(name, value)
        self.control = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for line in case["services"]:
            assert self.change("ipvsadm " + line), line
        self.local = {}
        self.delivered = {}
        time.sleep(REST)
        self.collect()

    def change(self, line):
        """What ipvsadm would do, without a process; False when the kernel refuses it or it is something else."""
        asked = request(line)
        if asked is None:
            return False
        try:
            self.control.setsockopt(socket.IPPROTO_IP, *asked)
        except OSError:
            return False
        return True

    def must(self, line, stdin):
        done = run(line, stdin)
        assert done["status"] == 0, (line, stdin, done)

    def collect(self):
        frames = []
        try:
            while True:
                self.reader.recv(1)
        except BlockingIOError:
            pass
        for i, sock in enumerate(self.sockets):
            while True:
                try:
                    frame, where = sock.recvfrom(65536)
                except BlockingIOError:
                    break
                if where[2] != PACKET_OUTGOING:
                    frames.append([i, frame])
        return frames

    def inject(self, card, frames, step):
        for frame in frames:
            try:
                self.sockets[card].send(frame)
            except OSError:
                # Too long for the card at the other end.
                pass
        return self.seen(step)

    def seen(self, step):
        if step.get("rest"):
            time.sleep(REST)
        frames = self.collect()
        if not frames:
            # The kernel's own process may be at it.
            time.sleep(0.001)
            frames = self.collect()
        for card, frame in frames:
            if frame[23] != 1 and frame[20:22] in (b"\0\0", b"\x40\0"):
                self.delivered[step["flow"] + ("c" if frame[5] >= 16 else "b")] = (card, frame)
        return [[card, frame.hex()] for card, frame in frames]

    def send_local(self, step):
        """A datagram of a socket of the director."""
        sock = self.local.get(step["sport"])
        if sock is None:
            sock = self.local[step["sport"]] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("0.0.0.0", step["sport"]))
        try:
            sock.sendto(pattern(step["size"]), (step["dst"], step["dport"]))
        except OSError:
            pass
        return self.seen(step)

    def tick(self):
        """Waits until the estimator has run."""
        before, limit = read(STATS), time.monotonic() + TICK_LIMIT
        while time.monotonic() < limit and read(STATS) == before:
            time.sleep(0.002)
        return None

    def step(self, step):
        kind = step["kind"]
        if kind == "run" or kind == "ask":
            if step["run"].startswith("cat "):
                return {"status": 0, "out": read(step["run"][4:])}
            words = step["run"].split()
            if words[:2] == ["sysctl", "-qw"]:
                write_parameter(*words[2].split("="))
                answer = {"status": 0, "out": ""}
            elif words[0] == "ipvsadm" and self.change(step["run"]):
                answer = {"status": 0, "out": ""}
            else:
                answer = run(step["run"])
            if kind == "run":
                time.sleep(REST)
            return answer
        if kind == "wait":
            time.sleep(step["seconds"])
            return None
        if kind == "tick":
            return self.tick()
        if kind == "local":
            return self.send_local(step)
        if kind == "send":
            return self.inject(step["card"], [bytes.fromhex(frame) for frame in step["frames"]], step)
        got = self.delivered.get(f"{step['flow']}{step['at']}")
        if got is None:
            return None
        card, frame = got
        return self.inject(card, reply_to(frame, step) if kind == "reply" else icmp_about(frame, step), step)

    def end(self):
        for sock in [*self.sockets, *self.local.values(), self.control, self.reader]:
            sock.close()
        os.close(self.director)
        os.close(self.world)


def main():
    subprocess.run(["modprobe", "ip_vs"])
    for name, value in (("icmp_msgs_per_sec", 1000000), ("icmp_msgs_burst", 1000000)):
        with open(f"/proc/sys/net/ipv4/{name}", "w") as file:
            file.write(str(value))
    root = os.open("/proc/self/ns/net", os.O_RDONLY)
    with open("results.json", "w") as file:
        for case in json.load(open("cases.json")):
            world = World(case)
            seen = []
            last = time.monotonic()
            for step in case["steps"]:
                answer = world.step(step)
                now = time.monotonic()
                seen.append({"ms": round((now - last) * 1000, 3), "answer": answer})
                last = now
            world.end()
            enter(root)
            file.write(json.dumps(seen) + "\n")
            file.flush()


main()
