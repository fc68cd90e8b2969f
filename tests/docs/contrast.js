// Which words of this page, in the theme MODE, are hard to read: less than 4.5 : 1 against what is behind them, or
// 3 : 1 if they are large (WCAG 2.2, 1.4.3). The answer stands in an element of its own, for whoever dumps the page.
addEventListener("load", () => {
  document.documentElement.dataset.theme = document.documentElement.dataset.mode = "MODE";
  document.querySelectorAll("details").forEach(fold => { fold.open = true; });

  const colour = text => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
  };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = c => {
    const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  const behind = element => {                       // every ground up to the first that lets nothing through
    const grounds = [];
    for (let e = element; e; e = e.parentElement) {
      const ground = colour(getComputedStyle(e).backgroundColor);
      if (ground[3]) grounds.push(ground);
      if (ground[3] === 1) break;
    }
    return grounds.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const drawnBehind = (text, ground) => {           // in a picture, the rectangles that were drawn before
    const box = text.getBBox(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    for (const rect of text.closest("svg").querySelectorAll("rect")) {
      const r = rect.getBBox(), style = getComputedStyle(rect);
      const before = rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (!before || style.fill === "none" || x < r.x || x > r.x + r.width || y < r.y || y > r.y + r.height) continue;
      const fill = colour(style.fill);
      ground = over([...fill.slice(0, 3), fill[3] * style.fillOpacity], ground);
    }
    return ground;
  };

  const hard = new Map();
  let seen = 0;
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode, e = node.parentElement, style = getComputedStyle(e);
    if (!node.data.trim() || !e.getClientRects().length || style.visibility === "hidden") continue;
    seen += 1;
    const picture = e instanceof SVGTextContentElement;
    let ground = behind(e), opacity = 1;
    if (picture) ground = drawnBehind(e, ground);
    for (let p = e; p; p = p.parentElement) opacity *= getComputedStyle(p).opacity;
    const ink = colour(picture ? style.fill : style.color);
    const [dim, bright] = [light(over([...ink.slice(0, 3), ink[3] * opacity], ground)), light(ground)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (bright + 0.05) / (dim + 0.05);
    if (ratio < (large ? 3 : 4.5)) hard.set(`${e.tagName} ${e.getAttribute("class") ?? ""} ${node.data.trim().slice(0, 30)}`, ratio.toFixed(2));
  }
  const told = document.createElement("pre");
  told.id = "contrast";
  told.textContent = JSON.stringify({ seen, hard: [...hard] });
  document.body.append(told);
});
