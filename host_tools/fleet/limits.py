"""Every maximum of the fleet services, with its unit and its reason."""

# broker
MESSAGE_BYTES = 17 * 1024  # one MQTT packet: the largest object (16 KB, a trust document) and 1 KB
CONNECT_BYTES = 512  # a CONNECT before identity is proved: an id of 32, a will of ours is absent
TOPIC_BYTES = 128  # the longest topic of SPEC 8 is 56 bytes
FILTERS = 8  # topic filters of one SUBSCRIBE: ours has one
CONNECT_WAIT_S = 15.0  # first packet after the handshake: an emulated Pico W needs 2 s
HANDSHAKE_WAIT_S = 30.0  # TLS handshake: 1.3 s on RP2040, times ten for a slow link
TAKEOVER_WAIT_S = 5.0  # the old connection of a client that came back must end within it
KEEPALIVE_FACTOR = 1.5  # MQTT 3.1.1 3.1.2.10
KEEPALIVE_MAX_S = 300  # a client that asks for more (or for none) is given this
PACKET_RATE = 100.0  # packets a second of one device: ten times what an update needs
PACKET_BURST = 200.0  # packets at once: an outbox of 8 KB that comes back holds 40
QUEUE_DEVICE = 32  # messages kept for an absent device: envelope, trust, CRL, acknowledgements
QUEUE_SERVICE = 4096  # messages kept for an absent collector: 4,096 packs of 4 KB are 16 MB
INFLIGHT = 20  # QoS 1 messages on the way to one client; a device answers one at a time
CONNECTIONS = 512  # open at a time; 30 KB each

# sealed messages
SEALED_BYTES = 16 * 1024  # one sealed message: as CBOR_BYTES on the device
COUNTER_MAX = 2**32 - 1  # partial IV: one message a second lasts 136 years
COUNTER_DISTANCE = 2**20  # partial IVs left out at each start: 4,096 starts in one boot
SEQUENCE_MAX = 2**53  # SQLite and JSON both hold it exactly
TEXT_CHARS = 256  # a name, reason, unit or version told by a device
RECORDS = 64  # SenML records of one pack: as on the device
DENSE_BYTES = 160  # bytes of a dense pack before its time, so of its steps: as on the device
DENSE_READINGS = 512  # readings of one: as on the device
TIME_MAX = 2**37  # unix seconds of a reading or event: the year 6325, which datetime shows
CBOR_DEPTH = 12  # as on the device

# collector
COLLECTOR_KEEPALIVE_S = 30  # a dead broker is noticed within 45 s
CANCEL_AGAIN_S = 1.0  # before a task that did not end is cancelled again
ROLLOUT_POLL_S = 1.0  # how late a connected device hears of a release
REVOCATION_POLL_S = 1.0  # how late a broker ends the session of a revoked device
BACKOFF_FIRST_S = 0.5  # between two attempts to reach the broker
BACKOFF_MAX_S = 30.0
CLOCK_FLOOR = 1_760_000_000  # unix seconds; a host clock before October 2025 is not given out
ROGUE_EVENTS = 100  # events of one kind kept a device and run: a flood must not fill the disk

TRUST_BATCH_BYTES = 12 * 1024  # trust documents a hello: what a device keeps for its next boot

# releases
WINDOW_BLOCKS = 4  # blocks asked for at a time (SPEC 8)
BLOCK_RATE = 64.0  # blocks a second and device: 256 KB/s, three times what its flash takes
BLOCK_BURST = 32.0  # blocks that may be asked for at once after a pause
PAYLOAD_BYTES = 2 * 1024 * 1024  # an interpreter for ESP32 has 1.7 MB, an image at most 320 KB
LOG_PROOF_BYTES = 2560  # as on the device: what comes with a logged envelope, in one packet
ENVELOPE_BYTES = 12 * 1024  # as on the device, which reads packets of 256 bytes more

# certificates
CERTIFICATE_AGAIN_S = 86_400  # a device that asks again within a day is given the same one
UPKEEP_S = 3600.0  # between two looks at what runs out: lists live 30 days
EST_RETRY_S = 600  # seconds until a device may ask again for what a CA elsewhere signs
EST_BYTES = 8 * 1024  # read at a time
EST_HEAD_BYTES = 8 * 1024  # request line and headers: ours have 200 bytes
EST_REQUESTS = 8  # on one connection: the time, then a certificate
EST_CONNECTIONS = 64  # at a time; 30 KB each
EST_CONNECTION_S = 60.0  # a board with a slow CPU needs 5 s for all of it
