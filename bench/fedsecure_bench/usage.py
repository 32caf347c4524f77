"""What a process has used: CPU time and memory, as Linux counts them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")  # of CPU time, in a second
MB: Final = 10**6
RESET_PEAK: Final = "5"  # proc(5): clear_refs
USER_TIME: Final = 11  # fields of /proc/PID/stat behind the command's name
SYSTEM_TIME: Final = 12


@dataclass(frozen=True, slots=True)
class Usage:
    """Another process of this user."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return its CPU time so far, of all its threads, to a hundredth."""
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[USER_TIME]) + int(fields[SYSTEM_TIME])) / TICKS

    def memory(self) -> float:
        """Return its resident memory in MB (10**6 bytes)."""
        return self._status("VmRSS")

    def peak_memory(self) -> float:
        """Return the most since `forget_peak`, in MB."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text(RESET_PEAK, encoding="ascii")

    def transferred(self) -> float:
        """Return what it has read and written so far, files and sockets, in MB."""
        lines = dict(line.split(": ") for line in self._read("io").splitlines())
        return (int(lines["rchar"]) + int(lines["wchar"])) / MB

    def _status(self, key: str) -> float:
        lines = self._read("status").splitlines()
        (line,) = [one for one in lines if one.startswith(f"{key}:")]
        return int(line.split()[1]) * 1024 / MB

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.pid}/{name}").read_text(encoding="utf-8")
