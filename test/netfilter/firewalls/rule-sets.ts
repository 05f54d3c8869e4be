/** Whole firewalls as their programs write them, in the shape of ufw and of firewalld with its iptables backend. */

const UFW_HOOKS = ["input", "forward", "output"];
const UFW_STAGES = ["before-logging", "before", "after", "after-logging", "reject", "track"];

const ufwChains = [
  ...UFW_STAGES.flatMap((stage) => UFW_HOOKS.map((hook) => `iptables -N ufw-${stage}-${hook}`)),
  ...UFW_HOOKS.map((hook) => `iptables -N ufw-skip-to-policy-${hook}`),
  ...UFW_HOOKS.map((hook) => `iptables -N ufw-user-${hook}`),
  ..."logging-deny logging-allow not-local user-limit user-limit-accept"
    .split(" ")
    .map((name) => `iptables -N ufw-${name}`),
];

const ufwJumps = UFW_STAGES.flatMap((stage) =>
  UFW_HOOKS.map((hook) => `iptables -A ${hook.toUpperCase()} -j ufw-${stage}-${hook}`),
);

const UFW_RULES = `
  iptables -A ufw-before-input -i lo -j ACCEPT
  iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny
  iptables -A ufw-before-input -m conntrack --ctstate INVALID -j DROP
  iptables -A ufw-before-input -p icmp -m icmp --icmp-type 3 -j ACCEPT
  iptables -A ufw-before-input -p icmp -m icmp --icmp-type 11 -j ACCEPT
  iptables -A ufw-before-input -p icmp -m icmp --icmp-type 12 -j ACCEPT
  iptables -A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
  iptables -A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
  iptables -A ufw-before-input -j ufw-not-local
  iptables -A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
  iptables -A ufw-before-input -d 239.255.255.250/32 -p udp -m udp --dport 1900 -j ACCEPT
  iptables -A ufw-before-input -j ufw-user-input
  iptables -A ufw-before-output -o lo -j ACCEPT
  iptables -A ufw-before-output -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A ufw-before-output -j ufw-user-output
  iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
  iptables -A ufw-before-forward -j ufw-user-forward
  iptables -A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input
  iptables -A ufw-after-input -p udp -m udp --dport 138 -j ufw-skip-to-policy-input
  iptables -A ufw-after-input -p tcp -m tcp --dport 139 -j ufw-skip-to-policy-input
  iptables -A ufw-after-input -p tcp -m tcp --dport 445 -j ufw-skip-to-policy-input
  iptables -A ufw-after-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input
  iptables -A ufw-after-logging-input -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
  iptables -A ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
  iptables -A ufw-logging-deny -m conntrack --ctstate INVALID -m limit --limit 3/min --limit-burst 10 -j RETURN
  iptables -A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
  iptables -A ufw-logging-allow -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW ALLOW] "
  iptables -A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
  iptables -A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
  iptables -A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN
  iptables -A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny
  iptables -A ufw-not-local -j DROP
  iptables -A ufw-skip-to-policy-input -j DROP
  iptables -A ufw-skip-to-policy-output -j ACCEPT
  iptables -A ufw-skip-to-policy-forward -j DROP
  iptables -A ufw-track-output -p tcp -m conntrack --ctstate NEW -j ACCEPT
  iptables -A ufw-track-output -p udp -m conntrack --ctstate NEW -j ACCEPT
  iptables -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
  iptables -A ufw-user-input -s 192.168.200.0/26 -p tcp -m tcp --dport 2377 -j ACCEPT
  iptables -A ufw-user-input -s 192.168.200.0/26 -p udp -m udp --dport 4789 -j ACCEPT
  iptables -A ufw-user-input -s 192.168.200.11/32 -p tcp -m multiport --dports 7946,7950:7960 -j ACCEPT
  iptables -A ufw-user-input -s 192.168.200.11/32 -p udp -m multiport --dports 7946 -j ACCEPT
  iptables -A ufw-user-limit -m limit --limit 3/min -j LOG --log-prefix "[UFW LIMIT BLOCK] "
  iptables -A ufw-user-limit -j REJECT --reject-with icmp-port-unreachable
  iptables -A ufw-user-limit-accept -j ACCEPT
  iptables -P INPUT DROP
`;

/** Its chains come behind Docker's in FORWARD: that a published port is open all the same is the well-known surprise. */
export const UFW = [...ufwChains, ...ufwJumps, UFW_RULES].join("\n");

const ZONE_STAGES = ["pre", "log", "deny", "allow", "post"];

/** The chains of a zone that one of firewalld's tables has, and the way through them. */
function zone(table: string, prefix: string, target: string): string {
  const name = `${prefix}_public`;
  const chains = [name, ...ZONE_STAGES.map((stage) => `${name}_${stage}`)];
  return [
    ...chains.map((chain) => `iptables -t ${table} -N ${chain}`),
    ...ZONE_STAGES.map((stage) => `iptables -t ${table} -A ${name} -j ${name}_${stage}`),
    target === "" ? "" : `iptables -t ${table} -A ${name} ${target}`,
  ].join("\n");
}

const FIREWALLD_FRAME = `
  iptables -t raw -N PREROUTING_direct
  iptables -t raw -A PREROUTING -j PREROUTING_direct
  iptables -t nat -N PREROUTING_ZONES
  iptables -t nat -N POSTROUTING_ZONES
  iptables -t nat -A PREROUTING -j PREROUTING_ZONES
  iptables -t nat -A POSTROUTING -j POSTROUTING_ZONES
  iptables -t nat -A PREROUTING_ZONES -i eth0 -g PRE_public
  iptables -t nat -A PREROUTING_ZONES -g PRE_public
  iptables -t nat -A POSTROUTING_ZONES -o eth0 -g POST_public
  iptables -t nat -A POSTROUTING_ZONES -g POST_public
  iptables -N INPUT_direct
  iptables -N INPUT_ZONES
  iptables -N FORWARD_direct
  iptables -N FORWARD_IN_ZONES
  iptables -N FORWARD_OUT_ZONES
  iptables -N OUTPUT_direct
  iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
  iptables -A INPUT -i lo -j ACCEPT
  iptables -A INPUT -j INPUT_direct
  iptables -A INPUT -j INPUT_ZONES
  iptables -A INPUT -m conntrack --ctstate INVALID -j DROP
  iptables -A INPUT -j REJECT --reject-with icmp-host-prohibited
  iptables -I FORWARD -j REJECT --reject-with icmp-host-prohibited
  iptables -I FORWARD -m conntrack --ctstate INVALID -j DROP
  iptables -I FORWARD -j FORWARD_OUT_ZONES
  iptables -I FORWARD -j FORWARD_IN_ZONES
  iptables -I FORWARD -j FORWARD_direct
  iptables -I FORWARD -i lo -j ACCEPT
  iptables -I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
  iptables -A OUTPUT -j OUTPUT_direct
  iptables -A INPUT_ZONES -i eth0 -g IN_public
  iptables -A INPUT_ZONES -g IN_public
  iptables -A FORWARD_IN_ZONES -i eth0 -g FWDI_public
  iptables -A FORWARD_IN_ZONES -g FWDI_public
  iptables -A FORWARD_OUT_ZONES -o eth0 -g FWDO_public
  iptables -A FORWARD_OUT_ZONES -g FWDO_public
  iptables -A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
  iptables -A IN_public_allow -p tcp -m tcp --dport 2377 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
  iptables -A IN_public_allow -p udp -m udp --dport 7946 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
  iptables -A IN_public_deny -s 192.168.200.77/32 -p udp -m udp --dport 4789 -j REJECT --reject-with icmp-port-unreachable
  iptables -A IN_public_allow -p udp -m udp --dport 4789 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT
  iptables -A FWDI_public_deny -s 192.168.200.77/32 -j REJECT --reject-with icmp-admin-prohibited
  iptables -A FWDO_public_allow -m conntrack --ctstate NEW -p udp -j ACCEPT
`;

export const FIREWALLD = [
  zone("nat", "PRE", ""),
  zone("nat", "POST", ""),
  zone("filter", "IN", "-p icmp -j ACCEPT"),
  zone("filter", "FWDI", "-p icmp -j ACCEPT"),
  zone("filter", "FWDO", ""),
  FIREWALLD_FRAME,
].join("\n");
