/** Words that the shell's own tools refuse, as bash 5.2 and grep 3.8 do; goldens from the real ones. */
import { expect, test } from "vitest";
import { createLab } from "../../src/index.ts";

const lab = createLab({
  source: "---\nsegments: { lan: { subnet: 10.0.0.0/24 } }\nmachines: { c: { lan: 10.0.0.1 } }\n---\n",
});
const c = (command: string) => lab.shell("c", command);

test.each([
  ["%d abc", "0\n", "abc: invalid number", 1],
  ["%d 3x", "3\n", "3x: invalid number", 1],
  ["%x 0x1G", "1\n", "0x1G: invalid hex number", 1],
  ["%d 08", "0\n", "08: invalid octal number", 1],
  ["%d 010", "8\n", "", 0],
  ["%f 1.5x", "1.500000\n", "1.5x: invalid number", 1],
  ["%i 1.5", "1\n", "1.5: invalid number", 1],
  [
    "%d 99999999999999999999",
    "9223372036854775807\n",
    "warning: 99999999999999999999: Numerical result out of range",
    0,
  ],
  ["%u -1", "18446744073709551615\n", "", 0],
  ["%e 12345.678", "1.234568e+04\n", "", 0],
  ["%g 0.0001", "0.0001\n", "", 0],
  ["%y x", "", "`y': invalid format character", 1],
  ["%08.3f 3.14159", "0003.142\n", "", 0],
  ["%5.3d 7", "  007\n", "", 0],
])("printf %s", (words, stdout, said, status) => {
  const [format, word] = words.split(" ");
  const stderr = said === "" ? "" : `bash: printf: ${said}\n`;
  expect(c(`printf '${format}\\n' ${word}`)).toMatchObject({ stdout, stderr, status });
});

test.each([
  ["'['", "Invalid regular expression"],
  ["'[a'", "Unmatched [, [^, [:, [., or [="],
  ["'[[:foo:]]'", "Invalid character class name"],
  ["'[b-a]'", "Invalid range end"],
  ["'[:space:]'", "character class syntax is [[:space:]], not [:space:]"],
  ["'a\\)'", "Unmatched ) or \\)"],
  ["-E '(a'", "Unmatched ( or \\("],
  ["'a\\{1'", "Unmatched \\{"],
  ["'a\\{x\\}'", "Invalid content of \\{\\}"],
  ["-E 'a{3,1}'", "Invalid content of \\{\\}"],
  ["'a\\{99999\\}'", "Regular expression too big"],
  ["'a\\'", "Trailing backslash"],
  ["'\\1'", "Invalid back reference"],
  ["-P '('", "missing closing parenthesis"],
])("grep %s", (words, said) => {
  expect(c(`echo a1b | grep ${words}`)).toMatchObject({ stdout: "", stderr: `grep: ${said}\n`, status: 2 });
});

test("what grep takes though it looks unfinished", () => {
  expect(c("echo 'a)' | grep -E 'a)'").stdout).toBe("a)\n");
  expect(c("echo 'a{1' | grep -E 'a{1'").stdout).toBe("a{1\n");
  expect(c("echo aaa | grep -oE 'a{,2}' | head -1").stdout).toBe("aa\n");
  expect(c("echo a1b | grep '\\d'").status).toBe(1);
});
