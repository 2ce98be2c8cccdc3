// The page: a picture goes to the server once, and everything else happens here.

import { areaOf, colourOf, objectMap, paint } from "./masks.js";

const LOWEST = 0.05; // scores that are asked for, so that the threshold can move without another request
const MOST_PIXELS = 8e6; // of a canvas; larger pictures are shown smaller

const find = (id) => document.getElementById(id);
const frame = find("frame"), picture = find("picture"), masks = find("masks"), tip = find("tip");
const state = { name: "", result: null, shown: [], colours: [], map: null, chosen: 0, request: null };

// --- the server ------------------------------------------------------------------------------------------------

async function ask(path, body) {
  const headers = { "X-API-Key": find("key").value };
  if (body) headers["Content-Type"] = "application/octet-stream";
  const answer = await fetch(path, { method: body ? "POST" : "GET", body, headers, signal: state.request?.signal });
  if (answer.ok) return answer;
  if (answer.status === 401) find("key-form").hidden = false;
  const problem = await answer.json().catch(() => ({ detail: `the server answered ${answer.status}` }));
  throw new Error(problem.detail);
}

async function describeModel() {
  const { name, categories, score_threshold } = await (await ask("model")).json();
  const names = categories.map((category) => category.name);
  const more = names.length > 8 ? `, and ${names.length - 8} more` : "";
  find("model").textContent = `${name}: ${names.slice(0, 8).join(", ")}${more}`;
  find("example").hidden = !names.includes("nucleus"); // the example shows nuclei
  find("threshold").value = score_threshold;
  showObjects();
}

async function take(blob, name) {
  state.request?.abort();
  const request = (state.request = new AbortController());
  say("looking for objects ...");
  frame.setAttribute("aria-busy", "true");
  try {
    const result = await (await ask(`predict?score_threshold=${LOWEST}`, blob)).json();
    const image = await imageOf(blob, result);
    if (request !== state.request) return;
    result.objects.forEach((object) => (object.area = areaOf(object, result.width, result.height)));
    Object.assign(state, { name, result, colours: result.objects.map((_, i) => colourOf(i)) });
    showPicture(image);
    showObjects();
  } catch (error) {
    if (request === state.request) say(error.message, true);
  } finally {
    if (request === state.request) frame.removeAttribute("aria-busy");
  }
}

/** The picture as this browser decodes it; where it cannot (TIFF), or takes it for another size, as the server does. */
async function imageOf(blob, { width, height }) {
  try {
    const image = await createImageBitmap(blob);
    if (image.width === width && image.height === height) return image;
  } catch { /* a format that browsers do not know */ }
  return createImageBitmap(await (await ask("picture", blob)).blob());
}

// --- what is shown ---------------------------------------------------------------------------------------------

function showPicture(image) {
  const { width, height } = state.result;
  state.scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  for (const canvas of [picture, masks]) {
    canvas.width = Math.max(Math.round(width * state.scale), 1);
    canvas.height = Math.max(Math.round(height * state.scale), 1);
  }
  picture.getContext("2d").drawImage(image, 0, 0, picture.width, picture.height);
  frame.classList.add("full");
  find("keys").hidden = false;
  frame.classList.toggle("pixels", width * height < 1e5);
}

function showObjects() {
  const threshold = Number(find("threshold").value);
  find("threshold-text").textContent = threshold.toFixed(2);
  if (!state.result) return;
  const { width, height, objects } = state.result;
  state.shown = objects.map((object, place) => ({ ...object, place })).filter((object) => object.score > threshold);
  state.map = objectMap(state.shown, width, height, state.scale);
  choose(0);
  countClasses();
  for (const kind of ["png", "json", "csv"]) find(`save-${kind}`).disabled = false;
}

function choose(number, x, y) {
  state.chosen = number;
  const object = state.shown[number - 1];
  const colours = state.shown.map(({ place }) => state.colours[place]);
  masks.getContext("2d").putImageData(paint(state.map, colours, Number(find("strength").value) / 100, number), 0, 0);
  drawKeypoints();
  tip.hidden = !object;
  if (!object) return;
  tip.textContent = `${object.category_name} ${object.score.toFixed(2)}, ${object.area} pixels`;
  const [left, top] = x === undefined ? onScreen(object.bbox) : [x, y];
  tip.style.left = `${Math.max(Math.min(left + 14, frame.clientWidth - tip.offsetWidth - 6), 6)}px`;
  tip.style.top = `${Math.max(Math.min(top + 14, frame.clientHeight - tip.offsetHeight - 6), 6)}px`;
}

function drawKeypoints() {
  const context = masks.getContext("2d"), radius = Math.max(masks.width / 250, 2);
  for (const { keypoints, place } of state.shown) {
    context.fillStyle = `rgb(${state.colours[place]})`;
    for (let i = 0; keypoints && i < keypoints.length; i += 3) {
      context.beginPath();
      context.arc((keypoints[i] + 0.5) * state.scale, (keypoints[i + 1] + 0.5) * state.scale, radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function countClasses() {
  const { width, height } = state.result, classes = new Map();
  for (const { category_name: name, area } of state.shown) {
    const [count, sum] = classes.get(name) ?? [0, 0];
    classes.set(name, [count + 1, sum + area]);
  }
  const rows = [...classes].sort((a, b) => b[1][0] - a[1][0]).map(([name, [count, sum]]) => {
    const row = document.createElement("tr");
    const share = `${((100 * sum) / (width * height)).toFixed(1)} %`;
    for (const text of [name, count, Math.round(sum / count).toLocaleString("en"), share]) {
      row.insertCell().textContent = text;
    }
    return row;
  });
  find("classes").hidden = !rows.length;
  find("classes").tBodies[0].replaceChildren(...rows);
  const counts = [...classes].map(([name, [count]]) => `${count} ${name}`).join(", ");
  const lower = state.result.objects.length - state.shown.length;
  const rest = lower ? `; ${lower} more score lower` : "";
  const limit = state.result.limited && !lower ? "; this is the limit, there may be more" : "";
  const shrunk = state.result.shrunk ? `; seen at a scale of ${state.result.shrunk}, small objects are lost` : "";
  say((counts || "nothing above this score") + rest + limit + shrunk);
  masks.setAttribute("aria-label", `${state.name}: ${counts || "no objects"}`);
}

function say(text, alarm = false) {
  find("status").textContent = text;
  find("status").classList.toggle("alarm", alarm);
}

// --- pointing at objects ---------------------------------------------------------------------------------------

/** The rectangle of the picture inside its element, which keeps the picture's proportions. */
function placed() {
  const box = masks.getBoundingClientRect(), outer = frame.getBoundingClientRect();
  const zoom = Math.min(box.width / masks.width, box.height / masks.height);
  const left = box.left + (box.width - zoom * masks.width) / 2, top = box.top + (box.height - zoom * masks.height) / 2;
  return { left, top, zoom, inFrame: [left - outer.left, top - outer.top] };
}

function onScreen([x, y, width, height]) {
  const { zoom, inFrame } = placed();
  return [inFrame[0] + (x + width) * state.scale * zoom, inFrame[1] + (y + height) * state.scale * zoom];
}

function pointAt(event) {
  if (!state.map) return;
  const { left, top, zoom } = placed(), outer = frame.getBoundingClientRect();
  const x = Math.floor((event.clientX - left) / zoom), y = Math.floor((event.clientY - top) / zoom);
  const inside = x >= 0 && y >= 0 && x < state.map.across && y < state.map.down;
  const number = inside ? state.map.map[y * state.map.across + x] : 0;
  if (number || state.chosen) choose(number, event.clientX - outer.left, event.clientY - outer.top);
}

function step(event) {
  const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (!state.shown.length || !(event.key in moves)) return;
  event.preventDefault();
  const count = state.shown.length, next = state.chosen + moves[event.key];
  choose(next < 1 ? count : next > count ? 1 : next);
  say(`object ${state.chosen} of ${count}: ${tip.textContent}`);
}

// --- downloads -------------------------------------------------------------------------------------------------

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${state.name.replace(/\.[^.]*$/, "") || "picture"}${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function savePng() {
  const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  context.drawImage(masks, 0, 0);
  canvas.convertToBlob({ type: "image/png" }).then((blob) => save(blob, "_objects.png"));
}

function saveJson() {
  const { width, height } = state.result;
  const objects = state.shown.map(({ place, ...object }) => object);
  save(new Blob([JSON.stringify({ file_name: state.name, height, width, objects })], { type: "application/json" }), ".json");
}

function saveCsv() {
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const rows = state.shown.map(({ category_name, score, bbox, area }, i) => [i + 1, quoted(category_name), score, ...bbox, area]);
  const lines = [["number", "class", "score", "x", "y", "width", "height", "area"], ...rows];
  save(new Blob([lines.map((line) => line.join(",") + "\n").join("")], { type: "text/csv" }), ".csv");
}

// --- events ----------------------------------------------------------------------------------------------------

const takeFile = (file) => file && take(file, file.name || "picture");

find("file").addEventListener("change", (event) => {
  takeFile(event.target.files[0]);
  event.target.value = ""; // the same file may be chosen again
});
find("example").addEventListener("click", async () => take(await (await ask("example.png")).blob(), "example.png"));
find("threshold").addEventListener("input", showObjects);
find("strength").addEventListener("input", (event) => {
  event.target.setAttribute("aria-valuetext", `${event.target.value} percent`);
  if (state.map) choose(state.chosen);
});
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
find("save-png").addEventListener("click", savePng);
find("save-json").addEventListener("click", saveJson);
find("save-csv").addEventListener("click", saveCsv);

masks.addEventListener("pointermove", pointAt);
masks.addEventListener("pointerdown", pointAt);
masks.addEventListener("pointerleave", () => state.map && choose(0));
masks.addEventListener("keydown", step);
masks.addEventListener("blur", () => state.map && choose(0));

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  frame.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || frame.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  frame.classList.remove("over");
  takeFile(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => takeFile(event.clipboardData.files[0]));

async function start() {
  try {
    await describeModel();
    say("");
  } catch (error) {
    say(error.message, true);
  }
}

start();
