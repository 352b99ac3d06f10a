// The console's own script: keys, copying, the live table, charts. Pages work without it.
"use strict";
const byId = (id) => document.getElementById(id);
const typing = (element) => element.closest("input, select, textarea, [contenteditable]") !== null;

// Copying ids; the clipboard is there only over https and on this machine.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText(button.dataset.copy); } catch { return; }
  byId("said").textContent = byId("said").dataset.copied;
});

// Keys: / search, j k move, Enter open, p pause, ? help.
let at = null;
function move(step) {
  const rows = [...document.querySelectorAll("table.list tbody tr")];
  if (!rows.length) return;
  const from = rows.indexOf(at);
  const to = from < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, from + step));
  if (at) at.classList.remove("at");
  at = rows[to];
  at.classList.add("at");
  const link = at.querySelector("a");
  if (link) link.focus({ preventScroll: true });
  at.scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") { event.preventDefault(); byId("q").focus(); byId("q").select(); }
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "p" && byId("pause")) byId("pause").click();
  else if (event.key === "?") { const keys = byId("keys"); if (keys.open) keys.close(); else keys.showModal(); }
});

// The live table. Rows never jump while somebody reads: past the top, and while paused, they wait.
const ROWS_MAX = 100;
const WAITING_MAX = 500;
function live(table) {
  const body = table.tBodies[0];
  const pause = byId("pause"), fresh = byId("fresh"), state = byId("stream-state");
  let waiting = [], count = 0, lost = 0, paused = false;
  const say = (key) => { state.textContent = state.dataset[key]; };
  const reading = () => paused || body.contains(document.activeElement) || table.getBoundingClientRect().top < 0;
  function show() {
    const page = document.createElement("template");
    page.innerHTML = waiting.join("");
    const rows = [...page.content.children].slice(0, ROWS_MAX);
    for (const row of rows) row.classList.add("new");
    body.prepend(...rows);
    while (body.rows.length > ROWS_MAX) body.lastElementChild.remove();
    waiting = []; count = 0; fresh.hidden = true;
    const empty = document.querySelector("#stream-title")?.closest("section").querySelector(".empty");
    if (empty) empty.remove();
  }
  function label() {
    fresh.textContent = fresh.dataset.one.replace("{n}", String(count));
    fresh.hidden = count === 0;
  }
  fresh.addEventListener("click", () => { show(); byId("stream-title").scrollIntoView({ block: "start" }); });
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? pause.dataset.go : pause.dataset.pause;
    say(paused ? "paused" : "on");
    if (!paused) show();
  });
  const source = new EventSource(table.dataset.live);
  source.addEventListener("open", () => say(paused ? "paused" : "on"));
  source.addEventListener("error", () => say("off"));
  source.addEventListener("over", () => { source.close(); location.reload(); });
  source.addEventListener("news", (event) => {
    const news = JSON.parse(event.data);
    lost += news.lost;
    if (lost) state.textContent = state.dataset.lost.replace("{n}", String(lost));
    waiting.unshift(news.rows);
    count += news.count;
    if (waiting.length > WAITING_MAX) waiting.pop();
    if (reading()) label(); else show();
  });
  window.addEventListener("pagehide", () => source.close());
}
const streamed = document.querySelector("[data-live]");
if (streamed && "EventSource" in window) live(streamed);

// Charts draw what stands in a table, and nothing else.
function chart(place) {
  const table = document.querySelector(place.dataset.chart);
  if (!table || !window.echarts) return;
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
  const rows = [...table.tBodies[0].rows];
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent.trim());
  const drawn = window.echarts.init(place, null, { renderer: "svg" });
  drawn.setOption({
    animation: false,
    aria: { enabled: false, decal: { show: true } },
    textStyle: { color: ink },
    legend: { type: "scroll", top: 0, textStyle: { color: ink } },
    grid: { left: 40, right: 12, top: 40, bottom: 28 },
    xAxis: { type: "category", data: rows.map((row) => row.cells[0].textContent.trim().slice(11, 16)), axisLabel: { color: ink } },
    yAxis: { type: "value", minInterval: 1, axisLabel: { color: ink }, splitLine: { lineStyle: { color: line } } },
    series: names.map((name, index) => ({ name, type: "bar", stack: "all", data: rows.map((row) => Number(row.cells[index + 1].textContent)) })),
  });
  new ResizeObserver(() => drawn.resize()).observe(place);
}
window.addEventListener("load", () => document.querySelectorAll("[data-chart]").forEach(chart));
