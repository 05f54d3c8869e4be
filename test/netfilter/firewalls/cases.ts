/** The firewalls that users put on the nodes of a swarm: allow lists, refusals, whole sets of rules, and mistakes. */
import type { Step } from "../../oracle/case.ts";
import {
  answer,
  CLIENT,
  CONTAINER,
  datagram,
  echo,
  type FirewallCase,
  firewall,
  HOST,
  request,
  STRANGER,
  segment,
  usualTraffic,
  WORKER,
} from "./node.ts";
import { FIREWALLD, UFW } from "./rule-sets.ts";

const REJECTS = [
  "icmp-net-unreachable",
  "icmp-host-unreachable",
  "icmp-proto-unreachable",
  "icmp-port-unreachable",
  "icmp-net-prohibited",
  "icmp-host-prohibited",
  "icmp-admin-prohibited",
  "tcp-reset",
];

const rejectRules = REJECTS.flatMap((how, i) => [
  `iptables -A INPUT -p tcp -m tcp --dport ${9000 + i} -j REJECT --reject-with ${how}`,
  `iptables -I DOCKER-USER -p tcp -m conntrack --ctorigdstport ${9100 + i} -j REJECT --reject-with ${how}`,
  `iptables -t nat -I DOCKER-INGRESS -p tcp -m tcp --dport ${9100 + i} -j DNAT --to-destination 172.18.0.2:80`,
]).join("\n");

/** Packets that REJECT answers, and those that it must not answer. */
function rejectTraffic(): Step[] {
  const clients = [CLIENT, WORKER, STRANGER];
  return [
    ...REJECTS.map((_, i) => segment(clients[i % 3], HOST, [41000 + i, 9000 + i], "S")),
    ...REJECTS.map((_, i) => segment(clients[i % 3], HOST, [42000 + i, 9100 + i], "S")),
    segment(CLIENT, HOST, [43000, 9007], "PA"),
    segment(CLIENT, HOST, [43001, 9007], "R"),
    segment(CLIENT, HOST, [43002, 9003], "R"),
  ];
}

function several(count: number, make: (i: number) => Step): Step[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

export const FIREWALLS: readonly FirewallCase[] = [
  firewall("docker-alone", "", usualTraffic()),
  firewall(
    "docker-user-allow-list",
    `iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP
     iptables -I DOCKER-USER -i eth0 -s ${CLIENT} -p tcp -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN
     iptables -I DOCKER-USER -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN`,
    usualTraffic(),
  ),
  firewall(
    "docker-user-by-the-wrong-port",
    // A common mistake: the port is the container's by now, and the address too.
    `iptables -I DOCKER-USER -i eth0 -d ${HOST} -p tcp --dport 8080 -j DROP
     iptables -I DOCKER-USER -i eth0 -p tcp --dport 8080 ! -s 192.168.200.0/28 -j DROP
     iptables -I DOCKER-USER -m iprange --src-range ${STRANGER}-192.168.200.99 -m conntrack --ctreplsrc 172.18.0.2 -j REJECT`,
    usualTraffic(),
  ),
  firewall("every-kind-of-reject", rejectRules, rejectTraffic()),
  firewall(
    "input-drops-by-default",
    `iptables -A INPUT -i lo -j ACCEPT
     iptables -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
     iptables -A INPUT -m conntrack --ctstate INVALID -j DROP
     iptables -A INPUT -p icmp -m icmp --icmp-type echo-request -j ACCEPT
     iptables -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
     iptables -A INPUT -s 192.168.200.0/26 -p tcp -m multiport --dports 2377,7946 -j ACCEPT
     iptables -A INPUT -s 192.168.200.0/26 -p udp -m multiport --dports 7946,4789 -j ACCEPT
     iptables -A INPUT -s 192.168.200.0/26 -p 50 -j ACCEPT
     iptables -P INPUT DROP`,
    usualTraffic(),
  ),
  firewall(
    "overlay-ports-dropped",
    `iptables -I INPUT -p udp -m udp --dport 4789 -j DROP
     iptables -I INPUT -p udp -m multiport --dports 7946 -j REJECT
     iptables -I INPUT -p tcp -m tcp --dport 2377 --syn -j REJECT --reject-with tcp-reset
     iptables -I OUTPUT -p udp -m udp --sport 7946 -j DROP`,
    usualTraffic(),
  ),
  firewall("ufw", UFW, usualTraffic()),
  firewall("firewalld", FIREWALLD, usualTraffic()),
  firewall(
    "vxlan-untracked",
    `iptables -t raw -A PREROUTING -p udp -m udp --dport 4789 -j NOTRACK
     iptables -t raw -A OUTPUT -p udp -m udp --dport 4789 -j CT --notrack
     iptables -t raw -A PREROUTING -p icmp -j NOTRACK
     iptables -A INPUT -m conntrack --ctstate UNTRACKED
     iptables -A INPUT -m state --state UNTRACKED -p icmp -j ACCEPT
     iptables -A INPUT -m conntrack --ctstate NEW -p udp -j DROP`,
    usualTraffic(),
  ),
  firewall(
    "segments-made-smaller",
    `iptables -t mangle -A FORWARD -o docker_gwbridge -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1300
     iptables -t mangle -A FORWARD -i docker_gwbridge -p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1301:65495 -j TCPMSS --clamp-mss-to-pmtu
     iptables -t mangle -A POSTROUTING -o eth0 -p tcp --syn -j TCPMSS --clamp-mss-to-pmtu
     iptables -t mangle -A POSTROUTING -j TTL --ttl-set 33`,
    [...usualTraffic(), segment(CLIENT, HOST, [44000, 8080], "S", 500), answer("SA")],
  ),
  firewall("nat-flushed-by-mistake", "", [
    ...request(CLIENT, 40000).slice(0, 4),
    "iptables -t nat -F",
    answer("PA", 200),
    answer("A"),
    segment(CLIENT, HOST, [40001, 8080], "S"),
    segment(CONTAINER, "1.1.1.1", [5001, 443], "S"),
    datagram(CONTAINER, "8.8.8.8", [5004, 53]),
    answer("", 30),
    "iptables -t nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:8080",
    "iptables -t nat -I PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
    ...request(CLIENT, 40002).slice(0, 3),
    "iptables -P FORWARD DROP",
    "iptables -F DOCKER-INGRESS",
    answer("PA", 50),
    segment(CLIENT, HOST, [40003, 8080], "S"),
    "iptables -P FORWARD ACCEPT",
    segment(CLIENT, HOST, [40004, 8080], "S"),
  ]),
  firewall(
    "counted-out",
    `iptables -I DOCKER-USER -p tcp --syn -m statistic --mode nth --every 3 --packet 1 -j DROP
     iptables -I INPUT -p icmp -m statistic --mode nth ! --every 4 --packet 0 -j DROP
     iptables -I INPUT -p udp -m udp --dport 7946 -m limit --limit 7/min --limit-burst 5 -j ACCEPT
     iptables -A INPUT -p udp -m udp --dport 7946 -j DROP
     iptables -I INPUT -p udp -m udp --dport 4789 -m limit --limit 1/hour --limit-burst 2 -m mark --mark 0 -j DROP
     iptables -I INPUT -m statistic --mode random --probability 0 -j DROP
     iptables -I INPUT -m statistic --mode random --probability 1`,
    [
      ...several(7, (i) => segment(CLIENT, HOST, [45000 + i, 8080], "S")),
      ...several(9, () => echo(CLIENT, HOST)),
      ...several(8, (i) => datagram(WORKER, HOST, [7000 + i, 7946])),
      ...several(5, (i) => datagram(WORKER, HOST, [8000 + i, 4789])),
    ],
  ),
  firewall(
    "marks-and-chains",
    `iptables -t mangle -N CLASSIFY-IN
     iptables -t mangle -A PREROUTING -j CONNMARK --restore-mark
     iptables -t mangle -A PREROUTING -m mark ! --mark 0x0 -j RETURN
     iptables -t mangle -A PREROUTING -g CLASSIFY-IN
     iptables -t mangle -A PREROUTING -j MARK --set-mark 0xdead
     iptables -t mangle -A CLASSIFY-IN -i eth0 -s ${CLIENT} -j MARK --set-xmark 0x10/0xf0
     iptables -t mangle -A CLASSIFY-IN -i docker+ -j MARK --or-mark 0x2
     iptables -t mangle -A CLASSIFY-IN -p udp -m length --length 0:60 -j MARK --xor-mark 0x4
     iptables -t mangle -A POSTROUTING -m mark --mark 0x10/0xf0 -j CONNMARK --save-mark
     iptables -t mangle -A POSTROUTING -m connmark --mark 0x10 -m ttl --ttl-lt 64
     iptables -A INPUT -m mark --mark 0x4/0x4 -p udp -j REJECT
     iptables -A INPUT -m pkttype --pkt-type unicast -m mac --mac-source 02:57:00:00:00:00 -m comment --comment "from the LAN"
     iptables -A FORWARD -m u32 --u32 "0>>22&0x3C@0>>16=40000:40010"
     iptables -A FORWARD -m physdev --physdev-in vethgw`,
    usualTraffic(),
  ),
  firewall(
    "hairpin",
    `iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -d 172.18.0.2 -p tcp -m tcp --dport 8080 -j SNAT --to-source 172.18.0.1
     iptables -t nat -A PREROUTING -i docker0 -d ${HOST} -p tcp -m tcp --dport 81 -j REDIRECT --to-ports 22
     iptables -t nat -A PREROUTING -d 192.168.200.64/28 -j NETMAP --to 172.17.0.0/28
     iptables -I DOCKER-ISOLATION-STAGE-2 -d 172.18.0.2 -p tcp -m tcp --dport 8080 -j RETURN`,
    [
      ...request(CONTAINER, 46000),
      segment(CONTAINER, HOST, [46001, 81], "S"),
      segment(CLIENT, "192.168.200.66", [46002, 80], "S"),
      ...usualTraffic(),
    ],
  ),
];
