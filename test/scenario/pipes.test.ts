/** The sides of a pipe run at the same time (pipe(7)); programs that write to a pipe keep blocks of text back (stdio). */
import { describe, expect, test } from "vitest";
import { createLab } from "../../src/index.ts";

const SOURCE = `---
seed: 1
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us }
machines:
  a: { lan: 192.168.200.1 }
  b: { lan: 192.168.200.2 }
---
`;

const lab = () => createLab({ source: SOURCE, seed: 1 });
const text = (live: ReturnType<typeof lab>, command: string, machine = "a"): string =>
  live.shell(machine, command).stdout;

describe("who reads no more ends who writes", () => {
  test.each([
    ["yes | head -2", "y\ny\n", "141 0"],
    ["yes 'a b' | grep -m1 b", "a b\n", "141 0"],
    ["while true; do echo z; done | sed 2q", "z\nz\n", "141 0"],
    ["while :; do echo 1 2; done | awk '{ print $2; exit }'", "2\n", "141 0"],
    ["ping 192.168.200.2 | grep -m1 -o time", "time\n", "141 0"],
    ["yes 7 | awk '{ print; exit $1 - 3 } END { print NR }'", "7\n1\n", "141 4"],
    ["seq 3 | awk 'NR == 2 { exit } END { exit NR + 1 }'", "", "0 3"],
    ["yes | tee copy | head -c 3", "y\ny", "141 141 0"],
    ["seq 100000 | true", "", "141 0"],
    ["seq 3 | head -1", "1\n", "0 0"],
  ])("%s", (command, printed, statuses) => {
    expect(text(lab(), `${command}; echo \${PIPESTATUS[@]}`)).toBe(`${printed}${statuses}\n`);
  });

  test("pipefail tells of it", () => {
    expect(lab().shell("a", "set -o pipefail; yes | head -1 > /dev/null").status).toBe(141);
  });
});

describe("text is there when it was written", () => {
  test("a reader sees lines as they come", () => {
    const printed = text(
      lab(),
      "{ date +%s; sleep 3; date +%s; } | while read then; do echo $(( $(date +%s) - then )); done",
    );
    expect(printed).toBe("0\n0\n");
  });

  test("the sides end when the last of them does", () => {
    expect(text(lab(), "S=$(date +%s); { sleep 2; } | true; echo $(( $(date +%s) - S ))")).toBe("2\n");
  });

  test("a background command keeps the pipe open", () => {
    expect(text(lab(), "{ { sleep 2; echo late; } & echo early; } | cat")).toBe("early\nlate\n");
  });

  test("nc sends what is piped in as it comes, and gives what it hears", () => {
    const live = lab();
    live.shell("b", "nc -l -p 9000 | while read word; do echo $word $(date +%S); done > heard &");
    live.shell("a", "{ echo one; sleep 2; echo two; } | nc -N 192.168.200.2 9000");
    expect(text(live, "sleep 1; cat heard", "b")).toBe("one 00\ntwo 02\n");
  });
});

describe("programs that never end by themselves", () => {
  test("ping tells its statistics when it is interrupted, not when it is ended", () => {
    const last = (signal: string) => text(lab(), `timeout -s ${signal} 3 ping 192.168.200.2 | tail -1`);
    expect(last("INT")).toMatch(/^rtt min\/avg\/max\/mdev = /);
    expect(last("TERM")).toMatch(/^64 bytes from .* icmp_seq=3 /);
  });

  test("tcpdump that is ended writes what it kept", () => {
    const live = lab();
    live.shell(
      "a",
      "ping -i 0.1 192.168.200.2 > /dev/null & tcpdump -ni eth0 icmp 2> told | grep -c reply > count &",
    );
    live.shell("a", "sleep 1; pkill tcpdump; sleep 0.1");
    expect(Number(text(live, "cat count"))).toBeGreaterThan(8);
    expect(text(live, "tail -n 3 told | cut -d' ' -f2-")).toMatch(
      /^packets captured\npackets received by filter\npackets dropped by kernel\n$/,
    );
  });
});

describe("stdio keeps a block of 4096 bytes back", () => {
  const PING = "ping -i 0.1 192.168.200.2 > /dev/null & ";

  test("tcpdump writes lines with -l, blocks without", () => {
    const at = (options: string, before = ""): number =>
      Number(
        text(
          lab(),
          `${PING} S=$(date +%s); ${before} tcpdump ${options} -n 2>/dev/null | head -1 > /dev/null; echo $(( $(date +%s) - S ))`,
        ),
      );
    expect(at("-l")).toBe(0);
    expect(at("", "stdbuf -oL")).toBe(0);
    expect(at("", "stdbuf -i0 --output=0")).toBe(0);
    expect(at("", "stdbuf -e 0")).toBeGreaterThan(2);
    expect(at("")).toBeGreaterThan(2);
  });

  test.each([
    ["grep time", false],
    ["grep --line-buffered time", true],
    ["stdbuf -oL grep time", true],
    ["sed -u p", true],
    ["cut -c 1-3", false],
    ["cat", true],
  ])("%s passes a line on at once: %s", (middle, atOnce) => {
    const printed = text(
      lab(),
      `ping -c 9 192.168.200.2 | ${middle} | { read line; date +%S; cat > /dev/null; }`,
    );
    expect(printed).toBe(atOnce ? "00\n" : "08\n");
  });
});

describe("process substitution", () => {
  test.each([
    ["echo foo > >(sed 's/^/to /')", "to foo\n"],
    ["seq 3 | tee >(head -1) > /dev/null", "1\n"],
    ["ls none 2> >(cut -c1-3)", "ls:\n"],
    ["yes > >(head -2); echo $?", "y\ny\n141\n"],
    ["f() { cat $1; echo $1; }; f <(echo a); f <(echo b)", "a\n/dev/fd/63\nb\n/dev/fd/63\n"],
    ["echo >(true) <(true)", "/dev/fd/63 /dev/fd/62\n"],
    ["seq 2 | { tee >(cat) >(cat); }", "1\n2\n1\n2\n1\n2\n"],
    ["while read n; do echo $n; break; done < <(yes 7)", "7\n"],
    ["bash -c 'exec > >(tr a b); echo ab'; echo c", "bb\nc\n"],
  ])("%s", (command, printed) => {
    expect(text(lab(), command)).toBe(printed);
  });

  test("what is read behind < comes as it is written", () => {
    const command =
      "while read then; do echo $(( $(date +%s) - then )); done < <(date +%s; sleep 3; date +%s)";
    expect(text(lab(), command)).toBe("0\n0\n");
  });

  test("the shell waits for no reader that takes its time", () => {
    const live = lab();
    expect(text(live, "S=$(date +%s); echo x > >(sleep 5; cat); echo $(( $(date +%s) - S ))")).toBe("0\n");
    expect(text(live, "sleep 6")).toBe("x\n");
  });

  test("what is not modelled is told", () => {
    expect(() => lab().shell("a", "cat < <(python3)")).toThrow("not modelled: the command python3");
    expect(() => lab().shell("a", "echo > >(python3)")).toThrow("not modelled: the command python3");
  });
});

describe("exec with redirections only", () => {
  test("a script's own end with it", () => {
    const live = lab();
    expect(text(live, "bash -c 'exec > log; echo in'; echo out; cat log")).toBe("out\nin\n");
  });

  test("those of a prompt stay until exit", () => {
    const live = lab();
    live.shell("a", "exec > log");
    expect(text(live, "echo x")).toBe("");
    live.shell("a", "exit");
    expect(text(live, "cat log")).toBe("x\n");
  });
});
