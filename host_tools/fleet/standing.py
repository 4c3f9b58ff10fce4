"""How devices stand, in the collector's database: their last hello, and what became of offers."""

from host_tools.fleet.database import Database


class Standing(Database):
    """The tables `hello` and `offer`."""

    def save_hello(self, device: str, body: bytes, now: float) -> None:
        self.execute("INSERT OR REPLACE INTO hello VALUES (?,?,?)", (device, now, body))

    def hello(self, device: str) -> tuple[float, bytes] | None:
        """(unix seconds, CBOR) of its last hello."""
        row = self.one("SELECT seen, body FROM hello WHERE device=?", (device,))
        return (float(row[0]), row[1]) if row else None

    def hellos(self) -> dict[str, tuple[float, bytes]]:
        """device -> (unix seconds, CBOR of its last hello)."""
        return {row[0]: (row[1], row[2]) for row in self.all("SELECT * FROM hello")}

    def set_offer(self, device: str, payload: bytes, state: str, detail: str, now: float) -> None:
        self.execute(
            "INSERT OR REPLACE INTO offer VALUES (?,?,?,?,?)",
            (device, payload, state, detail, now),
        )

    def last_update(self, device: str) -> tuple[str, str] | None:
        """(state, detail) of the release that was last offered to a device or told of by it."""
        row = self.one(
            "SELECT state, detail FROM offer WHERE device=? ORDER BY updated DESC LIMIT 1",
            (device,),
        )
        return (str(row[0]), str(row[1])) if row else None

    def offers(self, payload: bytes) -> dict[str, tuple[str, str, float]]:
        """device -> (state, detail, unix seconds) of one release, wherever it was offered."""
        rows = self.all(
            "SELECT device, state, detail, updated FROM offer WHERE payload=?", (payload,)
        )
        return {str(row[0]): (str(row[1]), str(row[2]), float(row[3])) for row in rows}

    def offer(self, device: str, payload: bytes) -> tuple[str, str] | None:
        """(state, detail) of one release on one device, or None before it was offered."""
        row = self.one(
            "SELECT state, detail FROM offer WHERE device=? AND payload=?", (device, payload)
        )
        return (row[0], row[1]) if row else None
