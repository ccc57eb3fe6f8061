"""Retakes the README's two pictures: `python -m console.pictures`."""

import struct
import tempfile
import zlib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import requests

from console.browser import open_browser
from machine import Machine

FOLDER = Path(__file__).parent / "pictures"
ANDROID, IPHONE = "+15551230001", "+15551230002"


class Take:
    """One machine, on which a scene is set by the API and looked at by a browser."""

    def __init__(self, machine: Machine, browser: Any) -> None:
        self._url = machine.url
        self._browser = browser

    def call(self, method: str, path: str, body: Any) -> None:
        answer = requests.request(method, self._url + path, json=body, timeout=60)
        answer.raise_for_status()

    def send(self, phone: str, name: str, content: Any, **more: Any) -> None:
        body = {"contentMessage": content, "ttl": "60s", **more}
        path = f"/v1/phones/{phone}/agentMessages?messageId={name}"
        self.call("POST", path, {"messageTrafficType": "TRANSACTION"} | body)

    def elapse(self, seconds: float) -> None:
        self.call("POST", "/simulator/clock", {"advance": f"{seconds}s"})

    def phone(self, number: str, **settings: Any) -> None:
        self.call("PUT", f"/simulator/phones/{number}", settings)

    def shoot(
        self, name: str, address: str, scheme: str, size: tuple[int, int]
    ) -> None:
        viewport = {"width": size[0], "height": size[1]}
        page = self._browser.new_page(viewport=viewport, color_scheme=scheme)
        page.goto(f"{self._url}/{address}")
        page.locator("#why").wait_for()
        page.locator(".thread .theirs").first.wait_for()
        (FOLDER / name).write_bytes(smaller(self._browser, page.screenshot()))
        page.close()


# The browser decodes the picture, counts its colours, and names the nearest of the
# 256 commonest for each point.
COUNT = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(bitmap, 0, 0);
  const { data } = canvas.getImageData(0, 0, width, height);
  const counts = new Map();
  const at = (i) => (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
  for (let i = 0; i < data.length; i += 4) {
    counts.set(at(i), (counts.get(at(i)) ?? 0) + 1);
  }
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256);
  const palette = common.map(([colour]) => colour);
  const parts = (c) => [c >> 16, (c >> 8) & 255, c & 255];
  const nearest = new Map();
  for (const colour of counts.keys()) {
    const [r, g, b] = parts(colour);
    let least = Infinity;
    palette.forEach((known, place) => {
      const [x, y, z] = parts(known);
      const far = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2;
      if (far < least) { least = far; nearest.set(colour, place); }
    });
  }
  let text = "";
  for (let i = 0; i < data.length; i += 4) {
    text += String.fromCharCode(nearest.get(at(i)));
  }
  return { width, height, palette: palette.flatMap(parts), points: btoa(text) };
}"""


def smaller(browser: Any, png: bytes) -> bytes:
    """Return the same picture with a palette of 256 colours."""
    page = browser.new_page()
    told = page.evaluate(COUNT, b64encode(png).decode())
    page.close()
    width, height = told["width"], told["height"]
    points = b64decode(told["points"])
    rows = (b"\0" + points[at : at + width] for at in range(0, len(points), width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"PLTE", bytes(told["palette"])),
            chunk(b"IDAT", zlib.compress(b"".join(rows), 9)),
            chunk(b"IEND", b""),
        )
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    length, check = struct.pack(">I", len(data)), zlib.crc32(kind + data)
    return length + kind + data + struct.pack(">I", check)


def table(title: str, words: str, picture: str) -> dict[str, Any]:
    """Return a card about one table."""
    file = {"fileUrl": f"https://example.com/{picture}"}
    book = {"reply": {"text": "Book it", "postbackData": title}}
    look = {"text": "Menu", "postbackData": "menu"}
    return {
        "title": title,
        "description": words,
        "media": {"height": "MEDIUM", "contentInfo": file},
        "suggestions": [
            book,
            {"action": look | {"openUrlAction": {"url": "https://example.com/menu"}}},
        ],
    }


def scenes(take: Take) -> None:
    take.phone(ANDROID, online=True, system="android")
    take.phone(IPHONE, online=True, system="iphone")
    tables = [
        table("Window seat", "By the water, quiet.", "window.jpg"),
        table("Garden", "Under the old trees.", "garden.jpg"),
    ]
    card = {"carouselCard": {"cardWidth": "MEDIUM", "cardContents": tables}}
    chips = [
        {"reply": {"text": "Another day", "postbackData": "another"}},
        {"reply": {"text": "No, thank you", "postbackData": "no"}},
    ]
    for number, name in ((ANDROID, "table-android"), (IPHONE, "table-iphone")):
        words = {"text": "Good evening! Where would you like to sit tonight?"}
        take.send(number, f"{name}-hello", words)
        take.elapse(4)
        take.send(number, name, {"richCard": card, "suggestions": chips})
        take.elapse(4)
    link = "#/messages/demo_agent/%2B"
    take.shoot("phones.png", f"{link}{ANDROID[1:]}/table-android", "dark", (1900, 860))
    take.phone(ANDROID, online=False)
    parcel = {"text": "Your parcel arrives today between 2 and 4 pm."}
    take.send(ANDROID, "parcel-17", parcel)
    take.elapse(90)
    take.shoot("fallback.png", f"{link}{ANDROID[1:]}/parcel-17", "light", (1280, 800))


def main() -> None:
    with tempfile.TemporaryDirectory() as state, open_browser() as browser:
        machine = Machine(Path(state), {})
        machine.clock.set_rate(0)
        machine.start()
        try:
            scenes(Take(machine, browser))
        finally:
            machine.stop()


if __name__ == "__main__":
    main()
