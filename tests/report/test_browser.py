"""The page in a browser without a window: pointing, keys, lines that come and go, a phone's width, and no network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest
from reading import Page

from dapo_cli.analysis.comparison.request import Request
from dapo_cli.report import page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, such as Debian's package chromium"),
]

# A page of ours that holds the report in a frame of a phone's width, does what a reader does, and writes what it saw.
HARNESS = """<!doctype html><meta charset="utf-8"><pre id="seen"></pre>
<iframe src="report.html" style="width:360px;height:800px;border:0"></iframe>
<script>
const frame = document.querySelector("iframe");
const visible = (one) => one.getBoundingClientRect().width > 0;
const wait = () => new Promise((done) => setTimeout(done, 50));
frame.addEventListener("load", async () => {
  const seen = {}, page = frame.contentWindow, inside = frame.contentDocument;
  try {
    const find = (selector) => inside.querySelector(selector);
    seen.width = [inside.documentElement.scrollWidth, inside.documentElement.clientWidth];
    const wide = [...inside.querySelectorAll("body *")].filter((one) => !one.closest(".wide, pre, svg"));
    const beyond = wide.filter((one) => one.getBoundingClientRect().right > 360.5);
    seen.outside = beyond.map((one) => one.outerHTML.slice(0, 80));
    const image = find("figure svg"), values = find("figure .values");
    const box = image.getBoundingClientRect();
    const point = (share) => image.dispatchEvent(new page.PointerEvent("pointermove",
      { clientX: box.left + share * box.width, clientY: box.top + box.height / 2, bubbles: true }));
    seen.before = values.hidden;
    point(0.95);
    seen.pointed = values.textContent;
    const shown = values.getBoundingClientRect();
    seen.inside = shown.left >= 0 && shown.right <= 360;
    image.dispatchEvent(new page.PointerEvent("pointerleave"));
    seen.left = values.hidden;
    const press = (key) => image.dispatchEvent(new page.KeyboardEvent("keydown", { key, bubbles: true }));
    image.focus();
    seen.focused = inside.activeElement === image;
    press("End"); seen.end = values.querySelector("b").textContent;
    press("ArrowLeft"); seen.back = values.querySelector("b").textContent;
    press("Escape"); seen.escaped = values.hidden;
    seen.faint = image.querySelectorAll(".run").length;
    find("#single").click();
    seen.runs = [...image.querySelectorAll(".run")].filter(visible).length;
    press("Home"); seen.single = values.textContent;
    const button = find("button[data-line='1']"), line = find("figure g[data-line='1']:not(.runs)");
    seen.visible = visible(line);
    button.click();
    seen.pressed = button.getAttribute("aria-pressed");
    seen.hidden = !visible(line);
    point(0.95); seen.without = values.textContent;
    button.click();
    seen.again = visible(line);
    seen.marked = Boolean(page.hacked);
    seen.loaded = page.performance.getEntriesByType("resource").length;
    const refused = [];
    inside.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
    await page.fetch("https://example.org/").then(() => refused.push("fetched"), () => {});
    const picture = inside.createElement("img");
    picture.src = "https://example.org/a.png";
    inside.body.append(picture);
    const script = inside.createElement("script");
    script.textContent = "window.hacked = true";
    inside.body.append(script);
    await wait();
    seen.refused = refused;
    seen.hacked = Boolean(page.hacked);
  } catch (error) { seen.error = String(error.stack); }
  document.getElementById("seen").textContent = JSON.stringify(seen);
  document.title = "done";
});
</script>"""


@pytest.fixture
def browse(tmp_path):
    """Opens a page, and returns what the harness saw and what the console said."""

    def open_(content):
        (tmp_path / "report.html").write_bytes(content)
        (tmp_path / "harness.html").write_text(HARNESS)
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--disable-dev-shm-usage",
            "--allow-file-access-from-files",
        ]
        options += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--window-size=1000,900"]
        command = [
            str(CHROMIUM),
            *options,
            "--virtual-time-budget=20000",
            "--dump-dom",
            f"file://{tmp_path}/harness.html",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        (seen,) = re.findall(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
        said = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return json.loads(html.unescape(seen)), said

    return open_


def test_a_reader_on_a_phone(browse, comparison, request_of_all):
    seen, said = browse(page.render(comparison, request_of_all))
    assert "error" not in seen
    assert seen["width"] == [360, 360]
    assert seen["outside"] == []
    assert (seen["before"], seen["left"], seen["escaped"], seen["focused"], seen["inside"]) == (True,) * 5
    assert re.fullmatch(
        r"step 1,000dapo-kl: 4\d{3} \[4\d{3}, 4\d{3}\], n = 6sac: 2\d{3} \[\d{4}, \d{4}\], n = 7", seen["pointed"]
    )
    assert (seen["end"], seen["back"]) == ("step 1,000", "step 500")
    assert (seen["faint"], seen["runs"]) == (0, 13)
    assert seen["single"].count("seed ") == 13
    assert (seen["visible"], seen["hidden"], seen["again"], seen["pressed"]) == (True, True, True, "false")
    assert "sac" not in seen["without"]
    assert "dapo-kl" in seen["without"]
    assert seen["loaded"] == 0
    assert sorted(seen["refused"]) == ["connect-src", "img-src", "script-src-elem"]
    assert seen["hacked"] is False
    # What the console says is that our three attempts were refused.
    assert [line for line in said if "Content Security Policy" not in line] == []


def test_hostile_names_run_nothing(browse, results, record_run, request_of_all):
    hostile = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    for seed in range(3):
        for algo in ("sac", hostile):
            record_run(algo, f"{hostile}{'long' * 40}", seed=seed, final=[1.0 + seed], source=hostile, tags=[hostile])
    seen, said = browse(page.render(results, request_of_all, hostile))
    assert "error" not in seen
    assert (seen["marked"], seen["hacked"]) == (False, False)
    assert hostile in seen["pointed"]
    assert seen["width"] == [360, 360]
    assert seen["outside"] == []
    assert [line for line in said if "Content Security Policy" not in line] == []


@pytest.fixture
def printed(tmp_path):
    """Prints a page to PDF, and returns the words that stand within the sheets of paper."""

    def print_(content):
        (tmp_path / "report.html").write_bytes(content)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-pdf-header-footer"]
        place = [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'report.pdf'}"]
        command = [str(CHROMIUM), *options, *place, f"file://{tmp_path}/report.html"]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        done = subprocess.run(["pdftotext", "-bbox", "report.pdf", "-"], cwd=tmp_path, capture_output=True, check=True)
        text = done.stdout.decode()
        width = float(re.findall(r'<page width="([\d.]+)"', text)[0])
        found = re.findall(r'<word xMin="([\d.-]+)" yMin="[\d.-]+" xMax="([\d.-]+)" yMax="[\d.-]+">(.*?)</word>', text)
        return [html.unescape(word) for left, right, word in found if float(left) >= 0 and float(right) <= width]

    return print_


def test_paper_has_every_column_of_every_table(printed, results, record_run):
    algos = [f"algorithm-{number}" for number in range(14)]
    for number, algo in enumerate(algos):
        for seed in range(2):
            settings = {f"setting_with_a_long_name_{i}": (number + seed + i) / 7 for i in range(5)}
            record_run(algo, "Hopper-v4", seed=seed, final=[1234.5], settings=settings, tags=["paper"], source="x" * 70)
    by = ("algo", "processor", "device", "threads", "backend", "commit")
    content = page.render(results, Request(rows=by))
    rows, text = Page(content).rows, "".join(printed(content))
    settings = text.partition("Inwhichrunsdiffer")[2].partition("Runsrunalgo")[0]
    for part, section in ((text, "results"), (settings, "settings"), (text, "runs")):
        cells = [cell for row in rows[section] for cell in row]
        for word in (*algos, *(["interval"] if section == "results" else [])):
            assert part.count(word) >= sum(cell.count(word) for cell in cells) > 0, (section, word)
    assert text.count("x" * 70) >= 2 * len(algos)
