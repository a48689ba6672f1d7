"""A RAK3172 LoRaWAN modem on a UART, by the AT commands of its RUI3 firmware; never blocking. It knows no
frames of ours."""

from ..port import ticks_add, ticks_diff

_BANDS = {"EU868": 4, "US915": 5}
_ANSWER_MS = 3000
_SENT_MS = 20000  # airtime at the lowest data rate, and both receive windows
_JOIN_MS = 60000
_LINE_BYTES = 560  # a downlink of 242 bytes in hexadecimal digits


class Modem:
    """A radio as LorawanLink wants it. ``region``, ``rate``, ``joined``, ``ready``, ``error``: see there.

    uart: has ``read(count)``, which returns at once, and ``write(data)``. region: of airtime.REGIONS. keys:
    (DevEUI, JoinEUI, AppKey) as hexadecimal digits. Raises ValueError for another region.
    """

    def __init__(self, uart, region, keys):
        if region not in _BANDS:
            raise ValueError("region %r, choose one of: %s" % (region, ", ".join(sorted(_BANDS))))
        self._uart, self.region = uart, region
        self.rate = 0
        self.joined = False
        self.error = None
        self._commands = ["AT+NJM=1", "AT+CLASS=A", "AT+BAND=%d" % _BANDS[region], "AT+CFM=0", "AT+ADR=1"]
        self._commands += ["AT+%s=%s" % pair for pair in zip(("DEVEUI", "APPEUI", "APPKEY"), keys)]
        self._join_at = None
        self._asked = self._until = None
        self._sending = False
        self._line = bytearray()
        self._received = None

    @property
    def ready(self):
        """Whether a frame may be sent now."""
        return self.joined and self._asked is None and not self._commands and not self._sending

    def poll(self, now):
        """Read what has come and say what is due. now: milliseconds."""
        data = self._uart.read(64)
        while data:
            for byte in data:
                if byte in b"\r\n":
                    line, self._line = self._line.decode(), bytearray()
                    try:
                        self._take(line, now)
                    except (IndexError, ValueError):
                        self.error = "not understood from the LoRaWAN modem: %s" % line
                elif byte < 128 and len(self._line) < _LINE_BYTES:
                    self._line.append(byte)
            data = self._uart.read(64)
        if self._sending and self._until is None:
            self._until = ticks_add(now, _SENT_MS)
        if self._until is not None and ticks_diff(now, self._until) >= 0:
            self.error = "the LoRaWAN modem does not answer %s" % (self._asked or "AT+SEND")
            self._asked = self._until = None
            self._sending = False
        if not self.joined and (self._join_at is None or ticks_diff(now, self._join_at) >= 0):
            if not self._commands and self._asked is None:
                self._join_at = ticks_add(now, _JOIN_MS)
                self._commands.append("AT+JOIN=1:0:10:0")
        if self._commands and self._asked is None and not self._sending:
            self._asked, self._until = self._commands.pop(0), ticks_add(now, _ANSWER_MS)
            self._write(self._asked)

    def send(self, port, payload):
        """Send one frame, unconfirmed. Only while ``ready``; one that the modem refuses is lost like one in
        the air."""
        self._sending = True
        self._until = None
        self._commands.insert(0, "AT+DR=?")  # it may have changed by the next one
        self._write("AT+SEND=%d:%s" % (port, "".join("%02x" % byte for byte in payload)))

    def receive(self):
        """Return (port, payload) of a frame that has come, or None."""
        received, self._received = self._received, None
        return received

    def _take(self, line, now):
        if line.startswith("+EVT:RX_"):
            parts = line.split(":")  # +EVT, RX_1, rssi, snr, UNICAST, port, digits
            self._received = (int(parts[5]), bytes.fromhex(parts[6]))
        elif line == "+EVT:TX_DONE":
            self._sending, self._until = False, None
        elif line == "+EVT:JOINED":
            self.joined, self.error = True, None
            self._commands.append("AT+DR=?")
        elif line.startswith("+EVT:JOIN"):
            self.error = "no LoRaWAN network lets the board join: %s" % line[5:]
        elif line.startswith("AT+DR="):
            self.rate = int(line[6:])
        elif line == "OK":
            self._answered(now)
        elif line.startswith("AT_"):
            self.error = "LoRaWAN modem: %s %s" % (self._asked or "AT+SEND", line)
            self.joined = self.joined and line != "AT_NO_NETWORK_JOINED"
            self._sending = False
            self._answered(now)

    def _answered(self, now):
        self._asked = None
        self._until = ticks_add(now, _SENT_MS) if self._sending else None

    def _write(self, command):
        self._uart.write(command.encode() + b"\r\n")
