/** Turns state dumps of the real cluster (`=== COMMAND` blocks, one file a namespace) into the dump that `collect` makes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { blocks } from "../truth/dumps.ts";

/** Sections by the command of the block. */
const SECTIONS: Readonly<Record<string, string>> = {
  "ip -j -d addr": "addr",
  "ip -j route show table all": "route",
  "ip -j neigh": "neigh",
  "bridge -j fdb": "fdb",
  "iptables-save -c": "iptables",
  "ipvsadm -Sn": "ipvs",
  "ss -nltup": "sockets",
  "sysctl -a (net.*)": "sysctl",
};

/** `32766:	from all lookup main` as `ip -j rule` has it. */
function ruleJson(text: string): string {
  const rules = [...text.matchAll(/^(\d+):\s+from all lookup (\w+)/gm)];
  return JSON.stringify(
    rules.map(([, priority, table]) => ({ priority: Number(priority), src: "all", table })),
  );
}

function netnsText(path: string, text: string): string {
  let out = `@netns ${path}\n`;
  for (const [command, body] of blocks(text)) {
    const section = SECTIONS[command];
    if (command === "ip rule") out += `@section rule\n${ruleJson(body)}\n`;
    if (section !== undefined && body.trim() !== "") out += `@section ${section}\n${body.trim()}\n`;
  }
  return out;
}

function dockerText(text: string): string {
  const networks: string[] = [];
  const containers: string[] = [];
  for (const [command, body] of blocks(text)) {
    if (command.startsWith("docker network ls"))
      for (const [, id, name] of body.matchAll(/^([0-9a-z]{20,})\s+(\S+)/gm)) networks.push(`${id} ${name}`);
    const [, id] = /^docker inspect .* (\w+)$/.exec(command) ?? [];
    const [, name, key] = /^(\S+) .*"SandboxID":"(\w{12})/.exec(body.trim()) ?? [];
    if (id !== undefined && key !== undefined) containers.push(`/var/run/docker/netns/${key} ${id} ${name}`);
  }
  return `@docker\n@section networks\n${networks.join("\n")}\n@section containers\n${containers.join("\n")}\n`;
}

/** The dump of one machine from the files of a folder. */
export function convertDumps(folder: string, machine: string): string {
  const read = (part: string) => readFileSync(join(folder, `${machine}.${part}.txt`), "utf8");
  const files = readdirSync(folder);
  let out = `@meshwire-dump 1\n@machine ${machine}\n`;
  for (const row of read("nsmap").trim().split("\n")) {
    const [name, path] = row.split("\t");
    if (files.includes(`${machine}.${name}.txt`)) out += netnsText(path, read(name));
  }
  return `${out}${dockerText(read("docker"))}@end\n`;
}
