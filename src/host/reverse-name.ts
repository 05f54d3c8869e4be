/** The name of an address (getnameinfo, gethostbyaddr): a PTR question to the name servers of the machine. */
import { formatIp4 } from "../wire/address.ts";
import { DNS_PTR } from "../wire/dns.ts";
import type { Co, Process } from "./process.ts";
import { dnsQuery } from "./resolver.ts";

/** null when nobody knows, or there is nobody to ask. */
export function* reverseName(process: Process, addr: number): Co<string | null> {
  if (process.machine.nameservers.length === 0) return null;
  const name = `${formatIp4(addr).split(".").reverse().join(".")}.in-addr.arpa.`;
  const messages = yield* dnsQuery(process, name, [DNS_PTR]);
  const data = messages?.[0].answers.find(({ type }) => type === DNS_PTR)?.data;
  return data?.kind === "name" ? data.name.replace(/\.$/, "") : null;
}
