"""The cable between hosts: each has one network interface, and this process forwards what it sends, late, in part or not at all.

Kernels have this as `netem`, where it was built in. Ethernet frames come from TAP devices, one a host, and go to the host that has the
address, so everything above is the kernel's own.

    wire.py SEED < commands, one a line; each is answered by a line on stdout: ok, or why not

    plug NAME                        a TAP device of this name, in the network namespace of this process; move it to its host then
    unplug NAME                      the host is lost
    link FROM TO DELAY JITTER LOSS   frames from FROM to TO: milliseconds, milliseconds more at most, percent lost; a name or *
"""

import fcntl
import heapq
import os
import random
import selectors
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAMES = 20_000  # under way at most; a real cable drops more than that, too


class Wire:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.devices = {}  # name: file descriptor
        self.host_of = {}  # hardware address: name
        self.rules = {}  # (from, to): (delay in s, jitter in s, share that is lost)
        self.free_at = {}  # (from, to): no frame overtakes another one of its link
        self.under_way = []  # (when due, number, to, frame)
        self.number = 0
        self.selector.register(0, selectors.EVENT_READ, None)
        os.set_blocking(0, False)
        self.commands = b""

    def plug(self, name):
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        self.devices[name] = device
        self.selector.register(device, selectors.EVENT_READ, name)

    def unplug(self, name):
        device = self.devices.pop(name)
        self.selector.unregister(device)
        os.close(device)
        self.host_of = {address: host for address, host in self.host_of.items() if host != name}

    def link(self, source, target, delay, jitter, loss):
        self.rules[source, target] = (float(delay) / 1000, float(jitter) / 1000, float(loss) / 100)

    def rule(self, source, target):
        for key in ((source, target), (source, "*"), ("*", target), ("*", "*")):
            if key in self.rules:
                return self.rules[key]
        return 0.0, 0.0, 0.0

    def forward(self, source, frame):
        self.host_of[frame[6:12]] = source
        known = self.host_of.get(frame[0:6])
        for target in [known] if known else [name for name in self.devices if name != source]:
            delay, jitter, loss = self.rule(source, target)
            if self.random.random() < loss or len(self.under_way) >= FRAMES:
                continue
            due = time.monotonic() + delay + jitter * self.random.random()
            due = self.free_at[source, target] = max(due, self.free_at.get((source, target), 0.0))
            self.number += 1
            heapq.heappush(self.under_way, (due, self.number, target, frame))

    def deliver(self):
        now = time.monotonic()
        while self.under_way and self.under_way[0][0] <= now:
            _, _, target, frame = heapq.heappop(self.under_way)
            try:
                os.write(self.devices[target], frame)
            except (KeyError, OSError):  # it was unplugged, or is not up: as with a cable
                pass

    def obey(self):
        some = os.read(0, 65536)
        if not some:
            sys.exit(0)
        *lines, self.commands = (self.commands + some).split(b"\n")
        for line in lines:
            word, *rest = line.decode().split()
            try:
                {"plug": self.plug, "unplug": self.unplug, "link": self.link}[word](*rest)
                print("ok", flush=True)
            except (KeyError, OSError, TypeError, ValueError) as error:
                print(f"{line.decode()}: {error!r}", flush=True)

    def run(self):
        while True:
            wait = max(0.0, self.under_way[0][0] - time.monotonic()) if self.under_way else None
            for key, _ in self.selector.select(wait):
                if key.data is None:
                    self.obey()
                    continue
                try:
                    for _ in range(64):
                        self.forward(key.data, os.read(key.fd, 65536))
                except OSError:  # nothing more now, or its host is gone
                    pass
                self.deliver()
            self.deliver()


if __name__ == "__main__":
    Wire(int(sys.argv[1])).run()
