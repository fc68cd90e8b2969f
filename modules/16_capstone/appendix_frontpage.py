# %% [markdown]
# # Appendix: a page to try it
#
# One page of HTML, with nothing to fetch from anywhere else: what is being lent and how long it takes, a
# canvas for every model that reads small pictures, and a box for every model that writes. It speaks to the
# server as any other client does.

# %%
#| export
"""The page at /: models, how long they take, a canvas for digits, and a box for texts."""

# %%
#| export
PAGE = r"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tinytorch</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --ink: light-dark(#1b2733, #e6e9ec); --soft: light-dark(#6b7783, #98a3ad);
          --line: light-dark(#d9dfe4, #3a444d); --mark: light-dark(#0b6e99, #6cc4ea); }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 46rem; margin: 3rem auto;
         padding: 0 1rem; background: light-dark(#fff, #15191d); }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
  th { font-weight: 500; color: var(--soft); } th:first-child, td:first-child { text-align: left; }
  canvas { border: 1px solid var(--line); border-radius: 4px; touch-action: none; cursor: crosshair;
           background: #000; image-rendering: pixelated; width: 14rem; height: 14rem; }
  .side { display: flex; gap: 2rem; flex-wrap: wrap; } .bars { flex: 1; min-width: 14rem; }
  .bar { display: flex; gap: .6rem; align-items: center; height: 1.35rem; }
  .bar i { background: var(--mark); height: .7rem; border-radius: 2px; min-width: 1px; }
  .bar.best { font-weight: 700; }
  textarea { width: 100%; box-sizing: border-box; font: inherit; height: 5rem; color: inherit;
             background: transparent; border: 1px solid var(--line); border-radius: 4px; padding: .5rem; }
  output { display: block; white-space: pre-wrap; font-family: ui-monospace, monospace; min-height: 3rem; }
  output b { color: var(--mark); font-weight: 500; } .quiet { color: var(--soft); }
  button, input { font: inherit; } input[type=number] { width: 5rem; }
</style>
<h1>tinytorch <span class="quiet" id="version"></span></h1>
<table><thead>
<tr><th>model<th>version<th>requests<th>failed<th>a second<th>p50 ms<th>p95 ms<th>p99 ms</tr>
</thead>
<tbody id="models"></tbody></table>
<p class="quiet" id="trouble" role="status"></p>
<main id="tries"></main>
<script>
"use strict";
const ask = async (path, body) => {
  const found = await fetch(path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  const told = await found.json();
  if (!found.ok) throw new Error(told.error);
  return told;
};
const made = (tag, text, ...inside) => {
  const one = document.createElement(tag);
  if (text !== "") one.textContent = text;
  one.append(...inside);
  return one;
};
const trouble = error => { document.getElementById("trouble").textContent = error.message; };

async function look() {
  const rows = await ask("/v2/repository/index", {}), stats = (await ask("/v2/models/stats")).model_stats;
  const of = row => stats.find(s => s.name === row.name && s.version === row.version) || {};
  const ms = x => x === undefined ? "–" : x.toFixed(1);
  document.getElementById("models").replaceChildren(...rows.map(row => {
    const s = of(row), state = row.state === "READY" ? row.version : row.reason || "not loaded";
    const times = [s.per_second, s.p50, s.p95, s.p99].map(ms);
    return made("tr", "", ...[row.name, state, s.count ?? 0, s.failed ?? 0, ...times].map(
      x => made("td", String(x))));
  }));
  return rows.filter(row => row.state === "READY");
}

function drawing(model) {                       // a picture to draw, for inputs of shape [-1, 1, side, side]
  const [port] = model.inputs, side = port.shape[2], canvas = made("canvas", ""), bars = made("div", "");
  canvas.width = canvas.height = side;
  bars.className = "bars";
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, side, side); bars.replaceChildren(); };
  let waiting = false, again = false;
  const read = async () => {
    if (waiting) { again = true; return; }
    waiting = true;
    const pixels = pen.getImageData(0, 0, side, side).data, data = [];
    for (let n = 0; n < pixels.length; n += 4) data.push(pixels[n] / 255);
    try {
      const told = await ask(`/v2/models/${model.name}/infer`, {
        inputs: [{ name: port.name, datatype: port.datatype, shape: [1, 1, side, side], data }] });
      show(told.outputs[0].data);
    } catch (error) { trouble(error); }
    waiting = false;
    if (again) { again = false; read(); }
  };
  const show = scores => {
    const top = Math.max(...scores), e = scores.map(x => Math.exp(x - top));
    const total = e.reduce((a, b) => a + b);
    bars.replaceChildren(...e.map((x, n) => {
      const bar = made("div", (model.labels || [])[n] ?? String(n)), line = made("i", "");
      bar.className = x === 1 ? "bar best" : "bar";
      line.style.width = `${12 * x / total}rem`;
      bar.append(line, made("span", (100 * x / total).toFixed(0) + " %"));
      return bar;
    }));
  };
  let last = null;
  const at = event => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * side / box.width, (event.clientY - box.top) * side / box.height];
  };
  canvas.onpointerdown = event => { canvas.setPointerCapture(event.pointerId); last = at(event); };
  canvas.onpointerup = canvas.onpointercancel = () => { last = null; read(); };
  canvas.onpointermove = event => {
    if (!last) return;
    const next = at(event);
    pen.strokeStyle = "#fff"; pen.lineWidth = side / 11; pen.lineCap = "round";
    pen.beginPath(); pen.moveTo(...last); pen.lineTo(...next); pen.stroke();
    last = next;
    read();
  };
  const button = made("button", "Clear");
  button.onclick = clear;
  clear();
  const box = made("div", "", canvas, bars);
  box.className = "side";
  return made("section", "", made("h2", `Draw for ${model.name}`), box, made("p", "", button));
}

function writing(model) {
  const prompt = made("textarea", ""), said = made("output", ""), button = made("button", "Continue");
  const heat = made("input", ""), count = made("input", "");
  Object.assign(heat, { type: "number", min: 0, max: 5, step: 0.1, value: 0.8 });
  Object.assign(count, { type: "number", min: 1, max: 4096, value: 60 });
  prompt.value = "Shall I compare thee";
  prompt.setAttribute("aria-label", "text to continue");
  let stop = null;
  button.onclick = async () => {
    if (stop) { stop.abort(); return; }
    stop = new AbortController();
    button.textContent = "Stop";
    const more = made("b", "");
    said.replaceChildren(prompt.value, more);
    try {
      const body = { text_input: prompt.value,
                     parameters: { temperature: Number(heat.value), max_tokens: Number(count.value) } };
      const found = await fetch(`/v2/models/${model.name}/generate_stream`,
                                { method: "POST", body: JSON.stringify(body), signal: stop.signal });
      if (!found.ok) throw new Error((await found.json()).error);
      const reader = found.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", part; !(part = await reader.read()).done;) {
        const events = (rest + part.value).split("\n\n");
        rest = events.pop();
        for (const one of events) {
          const told = JSON.parse(one.slice(6));
          if (told.error) throw new Error(told.error);
          more.append(told.text_output);
        }
      }
    } catch (error) { if (error.name !== "AbortError") trouble(error); }
    stop = null;
    button.textContent = "Continue";
  };
  return made("section", "", made("h2", `Write with ${model.name}`), prompt,
    made("p", "", button, " temperature ", heat, " letters ", count), said);
}

(async () => {
  try {
    document.getElementById("version").textContent = (await ask("/v2")).version;
    const names = [...new Set((await look()).map(row => row.name))];
    for (const name of names) {
      const model = await ask(`/v2/models/${name}`), [port] = model.inputs, shape = port.shape;
      if (model.platform === "tinytorch_gpt") document.getElementById("tries").append(writing(model));
      else if (shape.length === 4 && shape[1] === 1 && shape[2] === shape[3] && model.inputs.length === 1)
        document.getElementById("tries").append(drawing(model));
    }
  } catch (error) { trouble(error); }
  setInterval(() => look().catch(trouble), 1000);
})();
</script>
</html>
"""
