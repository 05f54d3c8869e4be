/** Words that a user may put behind an option of iptables: right ones, edges, and wrong ones. */

/** A list by `|`, so that a value may hold a blank or be empty. */
const list = (text: string): readonly string[] => text.split("|");

export const PORTS = list(
  "80|443|22|http|ssh|domain|0|65535|65536|1:2|1:|80:90|:1024|90:80|0x50|010|-1|foo||80:|1:2:3|99999999999|80-90|https:http|1,2| 80|80 ",
);
export const ADDRESSES = list(
  "10.0.0.1|10.0.0.0/8|192.168.1.0/255.255.255.0|10.0.0.1/255.0.255.0|0.0.0.0/0|0.0.0.0|0/0|10|10.1|10.0.0.300|1.2.3.4.5|10.0.0.1/33|10.0.0.1/|/8||127.0.0.0/8|localhost|10.0.0.1,10.0.0.2|10.0.0.0/8,172.16.0.0/12|10.0.0.1/0|10.0.0.1/-1|1.2.3.4/0.0.0.255|169.254.0.0/16|0x0a000001|010.1.1.1|10.0.0.1/08|10.0.0.1/24/24|,|10.0.0.1,",
);
export const INTERFACES = list(
  "eth0|lo|docker0|docker_gwbridge|eth+|+|br-1234567890ab|averyveryverylongname||eth/0|eth 0|vxlan0|et+h|ens3.100",
);
export const PROTOCOLS = list(
  "tcp|udp|icmp|all|0|6|17|1|TCP|esp|50|255|256|foo||ah|gre|udplite|ipv6-icmp|0x6|47|ip|igmp|1,2|-1",
);
export const BYTES = list("0|1|8|255|256|-1|foo||0x10|64|64/255");
export const SHORTS = list("0|1|1500|65535|65536|-1|foo||0x10|010");
export const NUMBERS = list("0|1|0x100|4294967295|4294967296|-1|foo||010|18446744073709551616");
export const RANGES = list(
  "0|40:1500|:100|100:|0:65535|1500:40|65536|1:65536|-1:3|3:-1|foo|1:foo|1:2:3|:||0x10:0x20|5:5| 5",
);
export const MARKS = list(
  "0|1|0x100|256|0x1/0xff|0xffffffff|4294967296|0x1/|/1|foo|0x1/foo|-1||010|0x1/0x1ffffffff|0x5/0|1/2/3",
);
export const STATES = list(
  "NEW|ESTABLISHED|NEW,ESTABLISHED|RELATED,ESTABLISHED|INVALID|UNTRACKED|SNAT|new|N|NEW,||,NEW|FOO|EST|INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT|FOO,NEW",
);
export const COMMENTS = [
  ...list('hello|a b|with "quotes"|it\'s||back\\slash|-A|--|!|ümlaut|$x|0|a_b-c'),
  "tab\there",
  "new\nline",
  "x".repeat(255),
  "x".repeat(256),
];
export const TCP_FLAGS = list("SYN|ACK|SYN,ACK|ALL|NONE|FIN,SYN,RST,ACK|syn|FOO||SYN,|SYN,FOO|ALL,NONE|2");
export const ADDRESS_TYPES = list(
  "LOCAL|UNICAST|BROADCAST|local|LOCAL,UNICAST|FOO||MULTICAST,ANYCAST|XRESOLVE|LOC|LOCAL,|FOO,LOCAL",
);
export const ICMP_TYPES = list(
  "echo-request|8|8/0|any|255/255|ping|fragmentation-needed|3/4|host-unreachable|foo|256|8/256|-1||echo|3/|/0|net|TOS-host-redirect|ECHO-REQUEST|3/4/5|8/0x0|8:9|3/1:3|8x",
);
export const IP_RANGES = list(
  "10.0.0.1-10.0.0.5|10.0.0.5-10.0.0.1|10.0.0.1|10.0.0.1-|-10.0.0.1|10.0.0.1-foo|foo-10.0.0.1||10.0.0.1-10.0.0.2-10.0.0.3|1-2",
);
export const MACS = list(
  "00:11:22:33:44:55|aa:BB:cc:DD:ee:FF|0:1:2:3:4:5|001122334455|00:11:22:33:44|00:11:22:33:44:55:66|00:11:22:33:44:gg|",
);
export const RATES = list(
  "1/s|5/min|10/hour|3/day|5|100/second|0/s|1/|/s|foo||10001/s|10000/s|1/week|1/SECOND|2/h|7/s|-1/s|1/s/s|1.5/s|1/m|60/min|16/min|11/hour|48/day",
);
export const BURSTS = list("5|1|10000|10001|-1|foo||100|0x10");
export const PROBABILITIES = list("0|1|0.5|0.33333|1.1|-0.1|foo||1e-5|0.5x|.25");
export const PORT_LISTS = list(
  "80|80,443|1:10|80,443,8000:9000|http,https|1,2,3,4,5,6,7,8,9,10,11,12,13,14,15|1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16|1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16||80,|foo|90:80|80-90|0|80, 81|5:5",
);
export const U32_TESTS = list(
  "0=0|0x0=0x0&&0x0=0x0|6&0xFF=6|0>>22&0x3C@0>>24=0|0=0:5|0=1,2:3|0||=0|0=|0&=1|0 = 5|0=0&&|foo|0<<2=1|0=0,1,2,3,4,5,6,7,8,9,10|0=0&&1=1&&2=2&&3=3&&4=4&&5=5&&6=6&&7=7&&8=8&&9=9&&10=1|4294967296=1|0&1&2&3&4&5&6&7&8&9&10=1|0=-1|0=1&2=3|0=1x|0>2=1",
);
export const DIRECTIONS = list("ORIGINAL|REPLY|original|foo||ORIG");
export const STATUSES = list(
  "NONE|EXPECTED|SEEN_REPLY|ASSURED,CONFIRMED|foo||none|SEEN_REPLY,EXPECTED|NONE,ASSURED|S",
);
export const PACKET_TYPES = list("unicast|broadcast|multicast|UNICAST|foo||host|bcast|any|otherhost");
export const LEVELS = list("0|7|8|debug|warning|warn|err|error|panic|foo||DEBUG|-1|0x4");
export const REJECTS = list(
  "icmp-net-unreachable|icmp-host-prohibited|icmp-admin-prohibited|tcp-reset|port-unreach|tcp-rst|foo||icmp|tcp|echo-reply|TCP-RESET",
);
export const NAT_ADDRESSES = list(
  "10.0.0.1|10.0.0.1:80|10.0.0.1-10.0.0.5|10.0.0.1-10.0.0.5:80-90|10.0.0.1:http|10.0.0.1:80-|10.0.0.1:0|10.0.0.1:65536|:80|10.0.0.1:||foo|10.0.0.1:80:90|10.0.0.5-10.0.0.1|10.0.0.1:90-80|10.0.0.1:80-90/100|10.0.0.1:80/9|10.0.0.1-|10.0.0.0/24|10.0.0.1:80-90/0|10.0.0.1-foo|:80-90|10.0.0.1:http-https|[10.0.0.1]:80",
);
export const NAT_PORTS = list("80|80-90|90-80|0|65536|http|http-https|80:90||foo|80-|-80|80/9|80-90/5|0-0");
