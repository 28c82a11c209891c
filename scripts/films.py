"""Draw the reference portal's self-help films again, in this machine's Chromium.

    python scripts/films.py

Each film is a few drawings without words, five seconds each: what they mean stands in the captions
beside it (`NAME.en.vtt`, `NAME.cy.vtt`), in step with them.
"""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FILMS = ROOT / "examples" / "portal" / "tenant_services" / "static" / "tenant_services" / "films"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run"]

SCRIPT = """
async name => {
  const canvas = document.createElement('canvas');
  canvas.width = 480; canvas.height = 270;
  const c = canvas.getContext('2d');
  const ink = '#0b0c0c', pale = '#ede8f3', strong = '#54319f', water = '#5694ca', warm = '#d4351c';
  const box = (x, y, w, h, fill) => {
    c.fillStyle = fill; c.fillRect(x, y, w, h);
    c.strokeStyle = ink; c.lineWidth = 3; c.strokeRect(x, y, w, h);
  };
  const disc = (x, y, r, fill) => {
    c.beginPath(); c.arc(x, y, r, 0, 7); c.fillStyle = fill; c.fill();
    c.strokeStyle = ink; c.lineWidth = 3; c.stroke();
  };
  const line = (x1, y1, x2, y2, width, colour) => {
    c.beginPath(); c.moveTo(x1, y1); c.lineTo(x2, y2);
    c.lineWidth = width; c.strokeStyle = colour; c.stroke();
  };
  const swing = t => Math.sin(t * Math.PI * 2);
  const plunger = y => {
    line(240, y - 110, 240, y - 20, 10, '#b58840');
    c.beginPath(); c.arc(240, y, 32, Math.PI, 0); c.closePath();
    c.fillStyle = warm; c.fill(); c.lineWidth = 3; c.strokeStyle = ink; c.stroke();
  };
  const sink = level => {
    box(110, 150, 260, 90, '#fff'); c.fillStyle = water; c.fillRect(112, 238 - level, 256, level);
    disc(240, 238, 9, ink); disc(345, 168, 6, ink);
    line(140, 150, 140, 95, 12, ink); line(140, 100, 185, 100, 12, ink);
  };
  const radiator = cold => {
    box(110, 70, 260, 150, '#fff');
    for (let i = 0; i < 8; i++) {
      c.fillStyle = warm; c.fillRect(122 + i * 31, 82 + cold, 18, 126 - cold);
      c.fillStyle = water; c.fillRect(122 + i * 31, 82, 18, cold);
    }
    disc(382, 84, 9, '#b1b4b6');
  };
  const fuses = (down, glow) => {
    box(110, 60, 260, 150, glow ? '#fff7bf' : '#fff');
    for (let i = 0; i < 6; i++) {
      box(128 + i * 39, 100, 26, 70, '#b1b4b6');
      const off = i === 3 ? 40 * down : 0;
      box(128 + i * 39, 100 + off, 26, 28, i === 3 ? strong : ink);
    }
  };
  const plug = (x, y) => {
    box(x, y, 46, 36, ink);
    line(x + 12, y, x + 12, y - 14, 6, ink); line(x + 34, y, x + 34, y - 14, 6, ink);
  };
  const films = {
    'unblock-sink': [
      t => { sink(50); line(240, 228 - 60 * t, 246, 236 - 60 * t, 4, '#594d00');
             line(232, 230 - 60 * t, 240, 222 - 60 * t, 4, '#594d00'); },
      t => { sink(50); box(327, 132 + 18 * Math.min(1, 2 * t), 36, 36, pale); },
      t => { sink(30 + 30 * t); box(327, 150, 36, 36, pale); plunger(232); },
      t => { sink(60); box(327, 150, 36, 36, pale); plunger(220 + 12 * swing(t * 5)); },
      t => { sink(60 * (1 - t)); line(185, 104, 185, 236, 8, water); },
    ],
    'bleed-radiator': [
      t => { radiator(60); disc(60, 140, 26, '#fff');
             line(60, 140, 60 + 20 * Math.sin(3 * t), 140 - 20 * Math.cos(3 * t), 5, ink); },
      t => { radiator(60); box(366, 150 - 50 * Math.min(1, 2 * t), 36, 44, pale); },
      t => { radiator(60 - 30 * t); box(366, 100, 36, 44, pale);
             line(382, 84, 382 - 34 * Math.sin(1.5 * t), 84 - 34 * Math.cos(1.5 * t), 8, strong);
             disc(410 + 30 * t, 70 - 10 * t, 7, '#fff'); disc(425 + 30 * t, 88, 5, '#fff'); },
      t => { radiator(0); box(366, 100, 36, 44, pale); disc(382, 98 + 10 * t, 5, water);
             line(382, 84, 382 - 34 * Math.sin(1.5 - 1.5 * t), 84 - 34 * Math.cos(1.5 - 1.5 * t),
                  8, strong); },
      t => { radiator(0); disc(60, 140, 26, '#fff');
             line(60, 140, 60 + 20 * Math.cos(2 * t), 140 - 20 * Math.sin(2 * t), 5, ink); },
    ],
    'reset-switch': [
      t => { fuses(1, false); plug(30, 200 - 60 * t); plug(400, 200 - 60 * t); },
      t => { fuses(1, false); box(110, 60 - 55 * t, 260, 150 - 100 * t, pale); },
      t => { fuses(1 - t, t > 0.9);
             line(258, 215 - 60 * t, 258, 245 - 60 * t, 10, warm); },
      t => { fuses(0, true); plug(30, 140 + 60 * t); if (t > 0.5) plug(400, 170); },
    ],
  };
  const scenes = films[name], seconds = 5 * scenes.length;
  const draw = at => {
    const scene = Math.min(scenes.length - 1, Math.floor(at / 5));
    c.fillStyle = pale; c.fillRect(0, 0, 480, 270);
    scenes[scene](Math.min(1, (at - 5 * scene) / 5));
    disc(40, 40, 24, strong);
    c.fillStyle = '#fff'; c.font = 'bold 28px Arial'; c.textAlign = 'center';
    c.fillText(scene + 1, 40, 50);
  };
  draw(0);
  const recorder = new MediaRecorder(canvas.captureStream(8), {
    mimeType: 'video/webm;codecs=vp8', videoBitsPerSecond: 60000,
  });
  const parts = [];
  recorder.ondataavailable = event => parts.push(event.data);
  const ended = new Promise(resolve => { recorder.onstop = resolve; });
  recorder.start();
  const began = performance.now();
  await new Promise(resolve => {
    const next = () => {
      const at = (performance.now() - began) / 1000;
      if (at >= seconds) return resolve();
      draw(at);
      setTimeout(next, 125);
    };
    next();
  });
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return [btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join('')), seconds];
}
"""


def main() -> None:
    """Draw all."""
    names = sorted(path.name.split(".")[0] for path in FILMS.glob("*.en.vtt"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=OPTIONS)
        page = browser.new_page()
        for name in names:
            coded, seconds = page.evaluate(SCRIPT, name)
            film = base64.b64decode(coded)
            (FILMS / f"{name}.webm").write_bytes(film)
            print(f"{name}: {seconds} seconds, {len(film) // 1000} kB")
        browser.close()


if __name__ == "__main__":
    main()
