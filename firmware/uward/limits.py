"""Every maximum of the device, with its unit and its reason.

A length, count or wait that comes from outside is compared with one of these before anything is
allocated or waited for (S19, style rule 2). Grouped by the folder that reads them.
"""

from uward.compat import const

# codec: what one parser accepts. The largest object is a trust document or a SUIT envelope.
CBOR_BYTES = const(16384)  # bytes of one object: 4 HSS signatures of 1.7 KB and 9 KB of content
CBOR_DEPTH = const(12)  # open arrays, maps and tags: a SUIT envelope needs 7, a frame costs 80 B
CBOR_ITEMS = const(2048)  # values in one object: 24 B of heap each on RP2040
COSE_HEADERS = const(16)  # labels in one header pair: our profiles use at most 6
COSE_SIGNATURES = const(4)  # signature blocks of one object (S7)
SENML_RECORDS = const(64)  # records of one pack: a pack is one MQTT payload of <= 4 KB
DER_BYTES = const(
    4096
)  # bytes of one certificate or CRL: ours are 400 to 700 B, a CRL 37 an entry
CRL_ENTRIES = const(100)  # revoked serials of one list: what 4 KB hold
X509_EXTENSIONS = const(16)  # extensions of one certificate: ours have at most 7

# crypto
AEAD_BYTES = const(65535)  # bytes of one sealed message: the 2-byte length of CCM (RFC 3610 2.2)
AEAD_AAD_BYTES = const(4096)  # bytes of associated data: copied once, ours are below 200 B
CTR_BATCH = const(2048)  # bytes of keystream made by one native call: 1024 costs 4 % more time
KEYWRAP_BYTES = const(512)  # bytes of one wrapped key: ours are 16 to 64 B
HKDF_BYTES = const(8160)  # 255 blocks of SHA-256 (RFC 5869 2.3)
HSS_LEVELS = const(8)  # levels of one HSS key (RFC 8554 6)
RNG_REQUEST = const(1024)  # bytes of one random() call: keys, salts and nonces are <= 64 B
RNG_STARTUP = const(1024)  # samples of the start-up health test (SP 800-90B 4.3)
P256_TRIES = const(8)  # draws for one scalar: a draw fails once in 2**32
P256_FAR = const(8)  # keys that a longer record is kept for: 0.25 s and 64 bytes each

# telemetry and outbox
PARTIAL_IV_BYTES = const(5)  # bytes of a partial IV from the collector: 2**40 messages a context
GENERATIONS = const(8)  # starts of the collector under one context: then a fresh one is made
WINDOW_PACKS = const(8)  # packs sent and not yet acknowledged: 8 x 200 B wait in RAM
OUTBOX_BYTES = const(8192)  # bytes of packs in RAM: 3 minutes offline at a reading a second
OUTBOX_OVERHEAD = const(176)  # bytes charged to a pack: 90 for the seal, 86 of heap
OUTBOX_KEPT = const(4)  # acknowledged packs that stay in RAM for a restored collector
PACK_BYTES = const(512)  # bytes of SenML in one pack: 50 readings
DENSE_BYTES = const(160)  # bytes of a dense pack: as much waits in RAM, and is lost by a reset
DENSE_READINGS = const(512)  # readings of one: 160 B hold 303, the host takes no more than these
ACK_MS = const(30_000)  # ms without an acknowledgement before packs are sent again
SESSION_MS = const(86_400_000)  # ms until a session is renewed: 24 h (S11)
LINK_BEAT_MS = const(60_000)  # ms in which the link's loop shows life: joining takes 15, TCP 10
MAIL_BYTES = const(16_384)  # bytes of messages that wait to be opened: one envelope and more
AWAY_MS = const(30_000)  # ms that a pack waits in RAM: then flash keeps what the collector has not
AWAY_NOTES = const(64)  # packs of half a second that wait to be written to flash
AWAY_COPY_MS = const(5000)  # ms between two copies of an open pack: as late as PACK_MS
SAYINGS = const(8)  # messages without acknowledgement that wait to be written
GROUP_KEYS = const(4)  # group KEKs kept: the current one and those of releases under way
SENSOR_MS = const(10)  # ms: the shortest period of a sensor; faster ones have a FIFO
SENSOR_GRACE_MS = const(30_000)  # ms that a sensor's loop may be late: verification, flash
SUPERVISE_MS = const(500)  # ms between two looks at the loops: 16 of them in a watchdog period
EVENT_NAMES = const(16)  # event names whose repetition is counted
EVENT_REPEAT_MS = const(600_000)  # ms in which the same event is counted, not repeated
EVENT_REPEAT_MOST_MS = const(14_400_000)  # ms: what that doubles to while it goes on, 4 h
EVENT_REASONS = const(8)  # reasons of one name in that time: whoever invents more is counted
TRIAL_MS = const(300_000)  # ms of uptime in which a trial must prove itself (S2)
HEALTHY_MS = const(600_000)  # ms of uptime after which earlier crashes are forgotten
READING_BYTES = const(64)  # bytes of one text or binary reading: a pack holds several
NAME_CHARS = const(48)  # characters of a sensor's name or unit: they stand once in each pack
REASON_CHARS = const(120)  # characters of an event's reason: a line for a person
PACK_MS = const(5000)  # ms after which a pack is closed: how late a reading may be seen

# trust, boot, update
SUIT_DEPTH = const(3)  # nested command sequences: try-each in a common sequence is 1
SUIT_COMMANDS = const(64)  # commands run in one manifest: ours run 11
SUIT_COMPONENTS = const(4)  # components of one manifest: ours have 1, the draft's examples <= 3
VERSION_BYTES = const(32)  # UTF-8 of a release's name: it goes into every hello
TRUST_KEYS = const(8)  # keys of one role, holders
TRUST_ANCHORS = const(2)  # issuing CA certificates, current and next
TRUST_REVOKED = const(32)  # revoked thumbprints of one document
LOG_PATH = const(24)  # hashes of one path in the log: 16 million releases
LOG_PROOF = const(2560)  # bytes of one proof: two paths, a head with 4 signatures, an entry
ENVELOPE_BYTES = const(12288)  # one envelope: 2 signatures of <= 1.7 KB and 2 KB of block hashes
IMAGE_BYTES = const(327680)  # one image: two of them and the vault fill an 848 KB file system
INTERPRETER_BYTES = const(2_097_152)  # one MicroPython for ESP32: stock ones have 1.7 MB
IMAGE_FILES = const(192)  # files and folders of one image: 52 B of heap each once mounted
BLOCK_BYTES = const(4096)  # one block of a payload: one flash block, one MQTT message
INSTALL_STARTS = const(5)  # times that one manifest may begin to be written at all (S6)
INSTALL_NAMES = const(4)  # manifests whose starts are remembered: 36 B, one inline file
TRUST_NEW_BYTES = const(12_800)  # documents that wait for a boot: one of 12,288 B, or 4 of 3 KB
SETTLE_TRIES = const(3)  # boots that try to judge the fallback: it must not stop one for ever
HASH_BYTES = const(16384)  # bytes of an image hashed at once at boot: 13 steps for a slot
FLUSH_BLOCKS = const(4)  # blocks of flash written between two flushes of a slot (S21)
SEALED_BYTES = const(4096)  # plaintext of one sealed file: a certificate and keys are < 2 KB
TRIAL_TRIES = const(3)  # boots that a new image has to prove itself (S2)
CRASHES_SWITCH = const(3)  # crashes in a row after which the other confirmed slot is tried
CRASHES_RECOVERY = const(6)  # crashes in a row after which only recovery is tried
WATCHDOG_MS = const(8388)  # ms: the most that an RP2040 can wait

# heap
GARBAGE = const(8192)  # bytes between two collections: what stays lies that close together (S20)
GARBAGE_BULK = const(32_768)  # the same while nearly all that is made goes: a TLS handshake

# port
I2C_HZ = const(400_000)  # Hz: fast mode, which every sensor that we know accepts
TLS_HEAP_FREE = const(36_864)  # bytes: the handshake needs 30 KB (S20), and Python while it runs
TLS_HEAP_VERIFY = const(12_288)  # bytes free at the leaf: below, the handshake's end is void
TLS_SESSION = const(28_672)  # bytes of one session with its context: 27.2 KB measured
HEAP_BLOCK = const(40_960)  # bytes in one block that a session is to have left
TLS_HEAP_BLOCK = const(17_408)  # bytes in one block: TLS's receive buffer of one 16 KB record

# link/mqtt: what a broker may send, and how long it may take
MQTT_BUFFER = const(4352)  # bytes kept for one packet: a block of 4096 B, its CBOR and topic
MQTT_PACKET = const(12_544)  # bytes of the largest packet: ENVELOPE_BYTES, its topic, slack
MQTT_TOPIC = const(96)  # bytes of one topic: ours are at most 56 (SPEC 8)
MQTT_PUBLISH = const(4096)  # bytes of one payload that we send: a pack is at most 4 KB
MQTT_WINDOW = const(4)  # unacknowledged QoS 1 publishes: each is kept for retransmission
MQTT_QUEUE = const(12)  # packets waiting to be written: above it nothing more is read
MQTT_READS = const(24)  # reads of one poll: 24 x 0.2 ms keep it below 5 ms on RP2040
MQTT_KEEPALIVE_S = const(60)  # seconds: SPEC 8
MQTT_CONNECT_MS = const(20_000)  # ms to CONNACK: a handshake of 1.3 s and a slow network
MQTT_REPLY_MS = const(10_000)  # ms to PUBACK, SUBACK, PINGRESP
MQTT_WRITE_MS = const(10_000)  # ms without one byte taken by the peer
MQTT_PACKET_MS = const(30_000)  # ms from a packet's first byte to its last: 12 KB at 3.3 kbit/s
MQTT_FAST_MS = const(1)  # ms between two of them while a payload comes: 10 cost an eighth of it
MQTT_POLL_MS = const(10)  # ms between two looks at the socket while a coroutine waits

# link/tls, wifi, clock
TCP_CONNECT_MS = const(10_000)  # ms to an open TCP connection: three SYNs
TLS_ANCHORS = const(2)  # issuing CA certificates: current and next (SPEC 4)
WIFI_JOIN_MS = const(15_000)  # ms of one attempt to join: measured 0.8 s, DHCP may take 10 s
WIFI_LOOK_MS = const(100)  # ms between two looks at a join
WIFI_SCAN = const(32)  # scan results looked at: more than one radio sees at a bedside
BACKOFF_FIRST_MS = const(1_000)  # ms before the second attempt
BACKOFF_MAX_MS = const(300_000)  # ms between attempts at most: 5 min
CLOCK_GRACE_S = const(63_072_000)  # seconds after trust expiry that the floor never passes (S10)
TIME_ANSWER_MS = const(30_000)  # ms from hello to its time answer: how far a held one may lag
EST_MS = const(20_000)  # ms for one answer of the EST service: its CA may sit in a slow token
CRL_AGE_S = const(3_888_000)  # seconds: a revocation list older than 45 days says too little (T02)
CRL_WAIT_MS = const(30_000)  # ms online in which a fresh revocation list should have come
TIME_ANSWER = const(512)  # bytes of one time answer: a COSE_Sign1 of about 150 B

# update: what is asked for and how long is waited
DOWNLOAD_WINDOW = const(4)  # blocks of 4 KB under way: SPEC 8
DOWNLOAD_WAIT_MS = const(4000)  # ms for the next block before it is asked for again
DOWNLOAD_DOUBLINGS = const(5)  # times that this wait doubles: up to 128 s
DELTAS = const(4)  # patches of one release: it comes from as many older ones
PATCH_BUFFER = const(2048)  # bytes of the new image that a patch makes at once: 30 ms at most
BAD_BLOCKS = const(4)  # blocks with a wrong hash in one download: then it is given up
PAYLOAD_ID = const(8)  # bytes of the manifest digest that name a payload (SPEC 8)
OFFER_MS = const(5_000)  # ms of uptime before a reset for something offered: bounds a flood
STARVED = const(3)  # times that the heap is too small before a reset puts it in order
TRUST_MS = const(600_000)  # the same for a trust document, which a broker can invent
RESET_MS = const(5_000)  # ms for the collector to hear of an installed release before the reset
RETIRE_MS = const(3_000)  # ms from a retire order to the erase: by then its receipt is sealed

ROTATE_BLOCKS = const(12)  # free blocks for a rotation: copies of sealed files, one segment

PIN_LEAST = const(4)  # bytes of a PIN
PIN_MOST = const(32)
PIN_ROUNDS = const(2_000)  # of PBKDF2: about 2 s on RP2040; a laboratory is not held off by it
PIN_FREE = const(3)  # wrong PINs before the first wait, which then doubles
PIN_WAIT_MS = const(30_000)  # ms of the first wait
PIN_WAIT_MOST_MS = const(3_600_000)  # ms of the longest: 1 h, also after each boot

# vault: the sealed journal (SPEC 10); flash figures in `docs/VAULT.md`
VAULT_NAME = const(32)  # bytes of a vault's name: it goes into every seal's AAD
VAULT_SEGMENT = const(12_276)  # bytes of one segment: what three blocks of littlefs hold
VAULT_FRAMES = const(220)  # records of one segment: a mount opens them all, 3.6 ms each
VAULT_TAILS = const(12)  # tail files: 24 records of 64 B wait for one append (S21)
VAULT_TAIL = const(216)  # bytes of one tail file: what littlefs commits inline in one page
VAULT_INLINE = const(448)  # bytes of a tail file with one larger record: two pages, no block
VAULT_PENDING = const(2_048)  # bytes in all tail files: they are kept in RAM too
VAULT_RECORD = const(4_096)  # bytes of one record before sealing
VAULT_SEEK = const(1_024)  # records that may be missing before a segment counts as unreadable
VAULT_RESERVE = const(6)  # free blocks of the file system for cleaning up when it is full
STORE_KEYS = const(256)  # names in one store: 8 to 16 bytes of heap each
STORE_NAME = const(48)  # bytes of one name
STORE_SEGMENTS = const(4)  # segments of one store: one is cleaned when there are more
QUEUE_BYTES = const(131_072)  # bytes of one outbox in flash: 32 blocks
QUEUE_SPARE = const(18)  # free blocks that let an outbox grow beyond its capacity while it is sent
QUEUE_DATES = const(32)  # boots with packs in one outbox whose time is known: 80 B of heap each
QUEUE_FRESH = const(4)  # packs that are kept in RAM besides, so that nobody reads them at once
QUEUE_WINDOW = const(64)  # sealed packs whose places are kept in RAM
AUDIT_BYTES = const(49_152)  # bytes of one audit log: 12 blocks
AUDIT_WRAPPED = const(512)  # bytes of a start key sealed to the collector: a COSE_Encrypt

# guard: commands and policies (SPEC 11)
COMMAND_BYTES = const(2048)  # one command: 4 signatures of 90 B, 1 KB of arguments and names
COMMAND_NAME = const(32)  # bytes of a command's or an argument's name
COMMAND_ARGUMENTS = const(8)  # arguments of one command: a dose has 1 to 4
COMMAND_TEXT = const(64)  # bytes of one argument that is a text
COMMAND_WINDOW_S = const(86_400)  # seconds that a command may be valid: a shift and its handover
COMMAND_AUTHORS = const(24)  # authors whose counters are kept: three roles of TRUST_KEYS
COMMAND_TRIES = const(2)  # times that a command is judged when the heap was too small
COMMANDS_WAITING = const(4)  # commands that wait for the one that is carried out
COMMAND_BEAT_MS = const(1)  # ms that others run between two slices of a verification (S18)
POLICY_BYTES = const(4096)  # one policy: 30 commands with limits take 3 KB
POLICY_COMMANDS = const(48)  # commands that one policy may name
POLICY_WAYS = const(6)  # ways to authorise one command
ENVELOPE_CHOICES = const(16)  # values that one argument may be chosen from
ENVELOPE_AMOUNTS = const(16)  # amounts kept for one total: the oldest two become one beyond it
ENVELOPE_S = const(604_800)  # seconds of a cool-down or total at most: a week
SETTINGS = const(16)  # settings that `set` may keep: they lie in one sealed file
PRESENCE_MS = const(30_000)  # ms in which the button must be pressed
PRESENCE_POLL_MS = const(50)  # ms between two looks at it: a press takes 100
EMERGENCY_MS = const(3_600_000)  # ms of uptime that break-glass holds at most
CONSOLE_LINE = const(4160)  # characters of one line at the console: a command in hexadecimal
CONSOLE_READ = const(64)  # bytes taken off the line at once: 10 ms of a board's time
CONSOLE_POLL_MS = const(20)  # ms between two looks at the line
CONSOLE_IDLE_MS = const(120_000)  # ms without a valid request before the console closes (T21)
CONSOLE_HELLO_MS = const(500)  # ms before each hello is answered: it takes a signature
CONSOLE_FLUSH_MS = const(500)  # ms for the last answer to leave before a reset
CONSOLE_LOCKOUT_MS = const(5_000)  # ms after the first wrong answer; each one more doubles it
CONSOLE_LOCKOUT_MAX_MS = const(3_600_000)  # ms: an hour from the eleventh on
TOTP_STEP_S = const(30)  # seconds of one step (RFC 6238 5.2)
TOTP_DIGITS = const(8)  # digits of a code: 3 valid ones in 10**8
TOTP_FAILURES = const(5)  # wrong codes of a key in a row: then only two persons help
