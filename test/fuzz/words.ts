/** Command lines that are almost right: words of good ones left out, doubled, swapped, and put in from others. */
import type { Prng } from "../../src/util/prng.ts";

export const LINES: readonly string[] = [
  "docker service create -d --name NAME --network mynet -p 8081:80 --replicas 2 whoami",
  "docker service create -d --mode global --publish mode=host,published=9001,target=80 whoami",
  "docker service create -d --constraint node.hostname==w1 --update-delay 2s --endpoint-mode dnsrr whoami sleep 100",
  "docker service update -d --publish-add 8443:80 --env-add A=1 web",
  "docker service update -d --publish-rm 80 --replicas 3 web",
  "docker service scale -d web=3",
  "docker service ps web --no-trunc --filter desired-state=running --format '{{.Name}} {{.Node}}'",
  "docker service ls --format '{{json .}}'",
  "docker service inspect --pretty web",
  "docker service inspect -f '{{range .Endpoint.VirtualIPs}}{{.Addr}}{{end}}' web",
  "docker service rm web",
  "docker service rollback -d web",
  "docker network create -d overlay --subnet 10.9.0.0/24 --gateway 10.9.0.1 --opt com.docker.network.driver.mtu=1400 --attachable NAME",
  "docker network ls --no-trunc -q",
  "docker network inspect -f '{{.Id}}' mynet",
  "docker network rm mynet",
  "docker node update --availability drain w1",
  "docker node ls -q",
  "docker node ps w1",
  "docker node promote w1",
  "docker ps -a --format '{{.ID}} {{.Status}}' --filter name=web",
  "docker exec $(docker ps -q | head -1) ip addr",
  "docker kill $(docker ps -q | head -1)",
  "docker run --rm busybox ping -c 1 -s 100 192.168.200.1",
  "docker swarm join-token -q worker",
  "docker info --format '{{.Swarm.NodeID}}'",
  "iptables -t nat -I PREROUTING 1 -i eth0 -p tcp -m tcp --dport 80:90 -m conntrack --ctstate NEW,RELATED -j REDIRECT --to-ports 8080",
  "iptables -A DOCKER-USER -s 192.168.200.0/24 ! -d 10.0.0.1 -p udp -m multiport --dports 53,67 -j DROP",
  "iptables -A FORWARD -p icmp --icmp-type echo-request -m limit --limit 3/min --limit-burst 2 -j LOG --log-prefix x",
  "iptables -D DOCKER-USER 1",
  "iptables -t mangle -A PREROUTING -m mark ! --mark 0x1/0xff -j MARK --set-xmark 0x100/0xffffffff",
  "iptables -nvL --line-numbers -x",
  "iptables-save -c -t nat",
  "ipvsadm -A -t 10.1.1.1:80 -s wrr -p 300",
  "ipvsadm -a -f 5 -r 10.0.0.9:0 -m -w 3",
  "ipvsadm -Ln --stats --rate",
  "conntrack -L -p tcp --dport 80 -o extended",
  "conntrack -D -s 192.168.200.1",
  "ip addr add 10.7.0.1/24 dev eth0 broadcast +",
  "ip route add 10.8.0.0/16 via 192.168.200.1 dev eth0 metric 5 table 100",
  "ip rule add from 10.0.0.0/8 fwmark 0x1 lookup 100 pref 5",
  "ip link add br9 type bridge",
  "ip link set eth0 mtu 1400 down",
  "ip -d -s link show dev eth0",
  "ip neigh replace 192.168.200.9 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
  "bridge fdb show br docker_gwbridge",
  "bridge fdb add 02:00:00:00:00:01 dev eth0 dst 10.0.0.1 self",
  "nsenter --net=/var/run/docker/netns/ingress_sbox ipvsadm -Lnc",
  "sysctl -w net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=2",
  "curl -sS -m 2 -o /dev/null -w '%{http_code} %{time_total}' http://192.168.200.11:8080/x -H 'A: b'",
  "ping -c 1 -W 1 -s 1500 -M do 192.168.200.11",
  "echo hi | nc -u -w 1 -p 40000 192.168.200.11 5300",
  "timeout 2 tcpdump -nn -i eth0 -c 1 'tcp port 80 and host 192.168.200.1'",
  "ss -tlnp",
  "dig +short @192.168.200.1 web A",
  "cat /etc/hosts | sort -r | awk '{print $1}' | sed 's/1/2/g' | grep -v -E '^2' | wc -l",
  "for i in 1 2; do echo $i; done && if true; then echo $((1 + 2)); fi",
];

const ODD: readonly string[] = [
  "",
  "-",
  "--",
  "0",
  "-1",
  "65536",
  "99999999999",
  "x",
  "=",
  "10.0.0.256",
  "0.0.0.0/0",
  "/33",
  "é",
  "'",
  '"',
  "$(",
  "|",
  ";",
  "&&",
  "{{",
  "<x>",
  "*",
  "!",
];

/** A line of {@link LINES} with one to four changes. */
export function almost(prng: Prng): string {
  const words = prng.pick(LINES).split(" ");
  for (let changes = 1 + prng.below(4); changes > 0; changes--) {
    const at = prng.below(words.length);
    const other = prng.pick(prng.pick(LINES).split(" "));
    const kind = prng.below(6);
    if (kind === 0) words.splice(at, 1);
    else if (kind === 1) words.splice(at, 0, words[at] ?? "");
    else if (kind === 2) words[at] = other;
    else if (kind === 3) words[at] = prng.pick(ODD);
    else if (kind === 4) words.splice(at, 0, other);
    else words[at] = (words[at] ?? "").slice(0, prng.below(6));
    if (words.length === 0) words.push("true");
  }
  return words.join(" ");
}
