import { expect, test } from "vitest";
import { setResolverConfig } from "../../src/host/resolver.ts";
import { openUdp, recvUdp } from "../../src/host/socket.ts";
import { udpEcho } from "../../src/host/udp-echo.ts";
import { whoami } from "../../src/host/whoami.ts";
import { addressAdd } from "../../src/net/ctl/address.ts";
import { curl } from "../../src/tools/curl.ts";
import { nc } from "../../src/tools/nc.ts";
import { ping } from "../../src/tools/ping.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import { ss } from "../../src/tools/ss.ts";
import type { Tool, ToolOutput } from "../../src/tools/tool.ts";
import type { SysError } from "../../src/util/errors.ts";
import { DNS_A, DNS_QR, DNS_RA, DNS_RD, decodeDns, encodeDns } from "../../src/wire/dns.ts";
import { Eye, ip, Lab } from "../transport/lab.ts";

function command(
  lab: Lab,
  tool: unknown,
  words: string[],
  seconds = 60,
  stdin = "",
  side = lab.client,
): ToolOutput {
  let output: ToolOutput | null = null;
  let printed = "";
  const process = side.spawn((tool as Tool).name, side.hostNs, function* (self) {
    output = yield* runTool(tool as Tool, words, {
      machine: side,
      ns: side.hostNs,
      process: self,
      stdin,
      files: new Map(),
      print: (text) => {
        printed += text;
      },
      exec: () => {
        throw new Error("no shell");
      },
    });
    return 0;
  });
  lab.run(seconds);
  if (process.exitStatus === null) process.kill(15);
  if (output === null) throw new Error("no output");
  return { ...(output as ToolOutput), stdout: printed + (output as ToolOutput).stdout };
}

function web(seed = 1): Lab {
  const lab = new Lab(seed, {}, 1450);
  lab.server.spawn(
    "whoami",
    lab.server.hostNs,
    whoami({ hostname: "0775fa1256d7", port: 8080, udpPorts: [5353] }),
  );
  return lab;
}

test("whoami answers as the image does, and curl prints it", () => {
  const lab = web();
  const eye = new Eye(lab.sim, lab.clientDev);
  const out = command(lab, curl, ["-sS", "--max-time", "10", "http://192.168.200.10:8080/"]);
  expect(out.status).toBe(0);
  expect(out.stdout.replace(/:\d+\nGET/, ":PORT\nGET")).toBe(
    "Hostname: 0775fa1256d7\nIP: 127.0.0.1\nIP: 192.168.200.10\nRemoteAddr: 192.168.200.1:PORT\nGET / HTTP/1.1\r\nHost: 192.168.200.10:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
  );
  expect(eye.tcpLines().some((line) => line.includes("len 83"))).toBe(true);
  lab.run(100);
  expect(lab.pool.outstanding).toBe(0);
});

test("curl fetches bulk data and shows -v, -w and -o", () => {
  const lab = web();
  const out = command(lab, curl, ["-s", "http://192.168.200.10:8080/data?size=120000"]);
  expect(out.stdout.length).toBe(120000);
  const verbose = command(lab, curl, [
    "-sv",
    "-o",
    "x",
    "-w",
    "%{http_code} %{size_download}\\n",
    "http://192.168.200.10:8080/data?size=10",
  ]);
  expect(verbose.stdout).toBe("200 10\n");
  expect(verbose.stderr).toContain(
    "* Connected to 192.168.200.10 (192.168.200.10) port 8080 (#0)\n> GET /data?size=10 HTTP/1.1\n",
  );
  const posted = command(lab, curl, ["-s", "-d", "a=b", "http://192.168.200.10:8080/post"]);
  expect(posted.stdout).toContain("POST /post HTTP/1.1");
});

test("curl's errors have the real texts and statuses", () => {
  const lab = web();
  const refused = command(lab, curl, ["-sS", "http://192.168.200.10:81/"]);
  expect(refused).toEqual({
    stdout: "",
    stderr: "curl: (7) Failed to connect to 192.168.200.10 port 81 after 0 ms: Couldn't connect to server\n",
    status: 7,
  });
  const unreachable = command(lab, curl, ["-sS", "http://192.168.200.77/"]);
  expect(unreachable.stderr).toMatch(
    /^curl: \(7\) Failed to connect to 192\.168\.200\.77 port 80 after 31\d\d ms: Couldn't connect to server\n$/,
  );
  const late = command(lab, curl, ["-sS", "-m", "3", "http://192.168.200.10:8080/wait?s=20"]);
  expect(late.stderr).toBe("curl: (28) Operation timed out after 3000 milliseconds with 0 bytes received\n");
  expect(command(lab, curl, ["-sS", "http://nowhere/"]).stderr).toBe(
    "curl: (6) Could not resolve host: nowhere\n",
  );
});

test("a SYN without answer is sent after 1, 2, 4, 8 s and what the wheel of timers adds; curl gives up in time", () => {
  const lab = new Lab(1, { pass: (frame) => frame[12] === 8 && frame[13] === 6 });
  const eye = new Eye(lab.sim, lab.clientDev);
  const out = command(lab, curl, ["-sS", "-m", "20", "http://192.168.200.10:8080/"]);
  expect(out).toEqual({
    stdout: "",
    stderr: "curl: (28) Connection timed out after 20000 milliseconds\n",
    status: 28,
  });
  expect(eye.ipFrames(6).map(({ atNs }) => Math.round(atNs / 1e6))).toEqual([0, 1040, 3120, 7200, 15840]);
  expect(lab.pool.outstanding).toBe(0);
});

test("a closed port answers with RST: no options, IP id 0, DF", () => {
  const lab = new Lab();
  const eye = new Eye(lab.sim, lab.clientDev);
  command(lab, curl, ["-s", "http://192.168.200.10:81/"]);
  const rst = eye.ipFrames(6)[1].bytes;
  expect(rst.length - 14).toBe(40);
  expect([...rst.subarray(18, 23)]).toEqual([0, 0, 0x40, 0, 64]);
  expect(eye.tcpLines()[1]).toMatch(/\[R\.\] seq 0 ack 1 win 0 id 0 len 0 <>$/);
});

test("ping prints answers, errors and statistics as iputils", () => {
  const lab = new Lab();
  const out = command(lab, ping, ["-c", "3", "192.168.200.10"]);
  expect(out.stdout.replace(/time=[\d.]+ ms/g, "time=T ms").replace(/= [\d./]+ ms/, "= R ms")).toBe(
    "PING 192.168.200.10 (192.168.200.10) 56(84) bytes of data.\n" +
      [1, 2, 3].map((n) => `64 bytes from 192.168.200.10: icmp_seq=${n} ttl=64 time=T ms\n`).join("") +
      "\n--- 192.168.200.10 ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time 2000ms\nrtt min/avg/max/mdev = R ms\n",
  );
  const tooLong = command(lab, ping, ["-c", "1", "-W", "2", "-s", "1473", "-M", "do", "192.168.200.10"]);
  expect(tooLong).toEqual({
    stdout:
      "PING 192.168.200.10 (192.168.200.10) 1473(1501) bytes of data.\n\n--- 192.168.200.10 ping statistics ---\n1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n\n",
    stderr: "ping: local error: message too long, mtu=1500\n",
    status: 1,
  });
  const none = command(lab, ping, ["-c", "1", "192.168.200.77"]);
  expect(none.stdout).toContain("From 192.168.200.1 icmp_seq=1 Destination Host Unreachable\n");
  expect(none.status).toBe(1);
  expect(command(lab, ping, ["-c", "1", "10.9.9.9"])).toEqual({
    stdout: "",
    stderr: "ping: connect: Network is unreachable\n",
    status: 2,
  });
  expect(lab.pool.outstanding).toBe(0);
});

test("ping fragments long requests and puts them together again", () => {
  const lab = new Lab();
  const out = command(lab, ping, ["-c", "1", "-s", "3000", "-M", "dont", "192.168.200.10"]);
  expect(out.stdout).toContain("3008 bytes from 192.168.200.10: icmp_seq=1 ttl=64");
});

test("a closed UDP port is refused at the connected socket, an open one echoes", () => {
  const lab = new Lab();
  lab.server.spawn("echo", lab.server.hostNs, udpEcho({ hostname: "h", port: 5353 }));
  let refused = "";
  let answer = "";
  lab.client.spawn("c", lab.client.hostNs, function* (process) {
    const sk = openUdp(process);
    sk.connect(ip("192.168.200.10"), 99);
    sk.send(Uint8Array.of(1));
    try {
      yield* recvUdp(sk);
    } catch (error) {
      refused = (error as SysError).code;
    }
    const echo = openUdp(process, 0, 40000);
    echo.send(Uint8Array.from([104, 105]), ip("192.168.200.10"), 5353);
    answer = Buffer.from((yield* recvUdp(echo)).data).toString();
    return 0;
  });
  lab.run(2);
  expect(refused).toBe("ECONNREFUSED");
  expect(answer).toBe("echo host=h from=192.168.200.1:40000 len=2 data=hi");
  expect(lab.pool.outstanding).toBe(0);
});

test("names are asked of the name server, with the search list", () => {
  const lab = web();
  const asked: string[] = [];
  lab.server.spawn("dns", lab.server.hostNs, function* (process) {
    const sk = openUdp(process, 0, 53);
    for (;;) {
      const { data, saddr, sport } = yield* recvUdp(sk);
      const query = decodeDns(data)!;
      const [{ name, type }] = query.questions;
      asked.push(`${name} ${type}`);
      const known = name === "web.lab." && type === DNS_A;
      const answers = known
        ? [
            {
              name,
              type: DNS_A,
              class: 1,
              ttl: 600,
              data: { kind: "a" as const, addr: ip("192.168.200.10") },
            },
          ]
        : [];
      const flags = DNS_QR | DNS_RD | DNS_RA | (name === "web.lab." ? 0 : 3);
      sk.send(encodeDns({ ...query, flags, answers }, true), saddr, sport);
    }
  });
  const config = { nameservers: [ip("192.168.200.10")], search: ["lab"] };
  const searching: typeof curl = {
    ...curl,
    run: (args, context) => {
      setResolverConfig(context.process, config);
      return curl.run(args, context);
    },
  };
  const out = command(lab, searching, ["-s", "http://web:8080/"]);
  expect(out.stdout).toContain("Host: web:8080");
  expect(asked).toEqual(["web.lab. 1", "web.lab. 28"]);
  expect(command(lab, searching, ["-sS", "http://other/"]).status).toBe(6);
});

test("nc connects, scans, listens", () => {
  const lab = web();
  const open = command(lab, nc, ["-zv", "192.168.200.10", "8080"]);
  expect(open).toEqual({
    stdout: "",
    stderr: "Connection to 192.168.200.10 8080 port [tcp/http-alt] succeeded!\n",
    status: 0,
  });
  const closed = command(lab, nc, ["-zv", "192.168.200.10", "81"]);
  expect(closed).toEqual({
    stdout: "",
    stderr: "nc: connect to 192.168.200.10 port 81 (tcp) failed: Connection refused\n",
    status: 1,
  });
  expect(command(lab, nc, ["-u", "-w", "1", "192.168.200.10", "5353"], 5, "hi").stdout).toMatch(
    /len=2 data=hi$/,
  );
});

test("ss prints the table of listeners as the real one", () => {
  const lab = new Lab();
  addressAdd(lab.server.hostNs.device("eth0")!, { local: ip("10.0.0.7"), prefixLen: 24 });
  lab.server.spawn("whoami", lab.server.hostNs, whoami({ hostname: "h", udpPorts: [53, 5353] }));
  lab.run(1);
  expect(command(lab, ss, ["-nltup"], 1, "", lab.server).stdout).toBe(
    "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess                          \n" +
      'udp   UNCONN 0      0            0.0.0.0:53        0.0.0.0:*    users:(("whoami",pid=1501,fd=3))\n' +
      'udp   UNCONN 0      0            0.0.0.0:5353      0.0.0.0:*    users:(("whoami",pid=1502,fd=3))\n' +
      'tcp   LISTEN 0      128          0.0.0.0:80        0.0.0.0:*    users:(("whoami",pid=1500,fd=3))\n',
  );
});
