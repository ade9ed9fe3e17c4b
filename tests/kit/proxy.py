"""A TCP proxy on loopback between an agent and the broker, for networks that fail: it cuts, freezes and refuses."""

import contextlib
import socket
import struct
import threading

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST


class Proxy:
    """Forwards to `port` of this machine until told otherwise."""

    def __init__(self, port):
        self._target = port
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets = set()
        self._threads = []
        self._refusing = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def freeze(self):
        """Nothing passes any more, in either direction; connections stay open, as when a cable is pulled."""
        self._flowing.clear()

    def thaw(self):
        """What was held back passes, and everything after it."""
        self._flowing.set()

    def cut(self):
        """Reset every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            _reset(each)

    def refuse(self):
        """Reset connections as soon as they are made, from now on."""
        self._refusing = True

    def admit(self):
        """Let connections be made again."""
        self._refusing = False

    def close(self):
        """End, with everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.thaw()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._refusing:
                    _reset(near)
                    continue
                self._join(near)

    def _join(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _reset(near)
            return
        with self._lock:
            self._sockets |= {near, far}
        self._spawn(self._pump, near, far)
        self._spawn(self._pump, far, near)

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                sink.sendall(data)
        _reset(source)
        _reset(sink)

    def _spawn(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _reset(each):
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        each.shutdown(socket.SHUT_RDWR)
    each.close()
