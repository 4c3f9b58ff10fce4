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
DER_BYTES = const(4096)  # bytes of one certificate or request: ours are 400 to 700 B
DER_DEPTH = const(10)  # nested constructed values: a certificate's extensions need 6
X509_EXTENSIONS = const(16)  # extensions of one certificate: ours have at most 7

# crypto
AEAD_BYTES = const(65535)  # bytes of one sealed message: the 2-byte length of CCM (RFC 3610 2.2)
AEAD_AAD_BYTES = const(4096)  # bytes of associated data: copied once, ours are below 200 B
CTR_BATCH = const(1024)  # bytes of keystream made by one native call: more gains under 2 %
KEYWRAP_BYTES = const(512)  # bytes of one wrapped key: ours are 16 to 64 B
HKDF_BYTES = const(8160)  # 255 blocks of SHA-256 (RFC 5869 2.3)
HSS_LEVELS = const(8)  # levels of one HSS key (RFC 8554 6)
RNG_REQUEST = const(1024)  # bytes of one random() call: keys, salts and nonces are <= 64 B
RNG_STARTUP = const(1024)  # samples of the start-up health test (SP 800-90B 4.3)

# telemetry and outbox
PARTIAL_IV_BYTES = const(5)  # bytes of a partial IV from the collector: 2**40 messages a context
GENERATIONS = const(8)  # restored collectors in one boot of the device: then it wants a reset
WINDOW_PACKS = const(8)  # packs sent and not yet acknowledged: 8 x 200 B wait in RAM
OUTBOX_BYTES = const(8192)  # bytes of packs in RAM: about 3 minutes offline at a reading a second
OUTBOX_OVERHEAD = const(
    176
)  # bytes charged to a pack: 90 for sealing it, 86 of heap for the entry
PACK_BYTES = const(512)  # bytes of SenML in one pack: 50 readings
PACK_MS = const(5000)  # ms after which a pack is closed: how late a reading may be seen
