#!/usr/bin/python3
"""The real kernel's side of the IPVS oracle: runs the cases of cases.json, each in a fresh network namespace (the
director) whose cards end in this process, and writes what came out to results.json."""
import ctypes, json, os, select, socket, struct, subprocess, time

CLONE_NEWNET = 0x40000000
PACKET_OUTGOING = 4
ETH_P_ALL = 3
# Above a tick: what the kernel puts off has happened.
QUIET = 0.025


def checksum(data, start=0):
    if len(data) % 2:
        data += b"\0"
    total = start + sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(protocol, saddr, daddr, payload):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 77, 0, 64, protocol, 0) + saddr + daddr
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def reply_to(frame, flags):
    """The answer of the station that got `frame`: ends swapped, other flags."""
    ip = frame[14:]
    ihl = (ip[0] & 15) * 4
    saddr, daddr, l4 = ip[12:16], ip[16:20], ip[ihl:]
    ports = l4[2:4] + l4[0:2]
    pseudo = daddr + saddr + struct.pack("!HH", ip[9], len(l4))
    if ip[9] == 6:
        l4 = ports + l4[8:12] + l4[4:8] + bytes([0x50, flags]) + l4[14:16] + b"\0\0\0\0" + l4[20:]
        l4 = l4[:16] + struct.pack("!H", checksum(pseudo + l4)) + l4[18:]
    else:
        l4 = ports + l4[4:6] + b"\0\0" + l4[8:]
        l4 = l4[:6] + struct.pack("!H", checksum(pseudo + l4) or 0xFFFF) + l4[8:]
    return frame[6:12] + frame[0:6] + b"\x08\0" + ip_packet(ip[9], daddr, saddr, l4)


def icmp_about(frame, kind, code):
    """An ICMP error of the station that got `frame`."""
    ip = frame[14:]
    body = bytes([kind, code, 0, 0, 0, 0, 5, 0]) + ip[:28]
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return frame[6:12] + frame[0:6] + b"\x08\0" + ip_packet(1, ip[16:20], ip[12:16], body)


class Director:
    """A child process in a namespace of its own; runs command lines there."""

    def __init__(self):
        to_child, self.commands = os.pipe()
        self.answers, from_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.commands)
            os.close(self.answers)
            self.serve(os.fdopen(to_child), os.fdopen(from_child, "w"))
            os._exit(0)
        os.close(to_child)
        os.close(from_child)
        self.commands = os.fdopen(self.commands, "w")
        self.answers = os.fdopen(self.answers)
        self.answers.readline()

    def serve(self, commands, answers):
        ctypes.CDLL(None).unshare(CLONE_NEWNET)
        print("ready", file=answers, flush=True)
        for line in commands:
            request = json.loads(line)
            answer = {"status": 0, "out": ""}
            if "sysctl" in request:
                for name, value in request["sysctl"]:
                    with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
                        file.write(value)
            else:
                done = subprocess.run(request["run"], shell=True, input=request.get("stdin", ""), text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                answer = {"status": done.returncode, "out": done.stdout}
            print(json.dumps(answer), file=answers, flush=True)

    def ask(self, **request):
        print(json.dumps(request), file=self.commands, flush=True)
        return json.loads(self.answers.readline())

    def end(self):
        self.commands.close()
        os.waitpid(self.pid, 0)


class World:
    def __init__(self, case):
        self.director = Director()
        cards = range(case["cards"])
        lines = []
        for i in cards:
            lines.append(f"link add t{i} up type veth peer name eth{i} address 02:00:00:00:01:{i:02x} netns {self.director.pid}")
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
        self.sockets = []
        for i in cards:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            sock.bind((f"t{i}", ETH_P_ALL))
            self.sockets.append(sock)
        done = self.director.ask(run="ip -batch -", stdin="\n".join(case["ip"]))
        assert done["status"] == 0, done
        # Modules register their parameters with the first use.
        self.director.ask(run="ipvsadm -Ln")
        if case["restore"]:
            done = self.director.ask(run="iptables-restore", stdin=case["restore"])
            assert done["status"] == 0, done
        self.director.ask(sysctl=case["sysctl"])
        self.delivered = {}
        self.collect()

    def collect(self):
        frames = []
        while True:
            ready, _, _ = select.select(self.sockets, [], [], QUIET)
            if not ready:
                return frames
            for sock in ready:
                frame, where = sock.recvfrom(65536)
                if where[2] != PACKET_OUTGOING:
                    frames.append((self.sockets.index(sock), frame))

    def inject(self, card, frame, flow):
        self.sockets[card].send(frame)
        frames = self.collect()
        for card, frame in frames:
            if frame[23] != 1:
                self.delivered[f"{flow}{'c' if card == 0 else 'b'}"] = (card, frame)
        return sorted([card, frame.hex()] for card, frame in frames)

    def step(self, step):
        kind = step["kind"]
        if kind == "run" or kind == "ask":
            answer = self.director.ask(run=step["run"])
            time.sleep(QUIET)
            return answer
        if kind == "wait":
            time.sleep(step["seconds"])
            return None
        if kind == "send":
            return self.inject(0, bytes.fromhex(step["frame"]), step["flow"])
        got = self.delivered.get(f"{step['flow']}{step['at']}")
        if got is None:
            return None
        card, frame = got
        if kind == "reply":
            return self.inject(card, reply_to(frame, step["flags"]), step["flow"])
        return self.inject(card, icmp_about(frame, step["type"], step["code"]), step["flow"])

    def end(self):
        for sock in self.sockets:
            sock.close()
        self.director.end()


def main():
    results = []
    for case in json.load(open("cases.json")):
        world = World(case)
        results.append([world.step(step) for step in case["steps"]])
        world.end()
        with open("results.json", "w") as file:
            json.dump(results, file)


main()
