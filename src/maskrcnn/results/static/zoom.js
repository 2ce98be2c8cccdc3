// A large image and its objects: tiles of both are loaded as they come into view. Works from a folder, without a server.
"use strict";

const { width, height, tile: TILE, levels, occupied, classes, colours } = JSON.parse(
  document.getElementById("facts").textContent,
);
const canvas = document.getElementById("view"), screen = canvas.getContext("2d"), hover = document.getElementById("hover");
const SHOWN = ["outlines", "filled", "hidden"], DEEPEST = 16, STEP = 1.25;
const view = { x: width / 2, y: height / 2, scale: 1 }; // the image's point in the middle, and CSS pixels per pixel
let shown = "outlines", asked = false;

// --- tiles: a level is half as large as the one before, level 0 is the image ---------------------------------------

const pictures = new Map(), maps = new Map(), inFlight = new Set();

function across(level) {
  return Math.ceil(Math.ceil(width / 2 ** level) / TILE);
}

function hasObjects(level, row, column) {
  return occupied[level][row * across(level) + column] === "1";
}

/** What is cached under a name; the longest unused goes first. */
function kept(cache, name) {
  const found = cache.get(name);
  if (found) {
    cache.delete(name);
    cache.set(name, found);
  }
  return found;
}

function keep(cache, name, value, room) {
  cache.set(name, value);
  for (const old of cache.keys()) {
    if (cache.size <= room) break;
    cache.delete(old);
  }
}

function room() {
  return Math.max(128, 3 * Math.ceil(canvas.width / TILE + 2) * Math.ceil(canvas.height / TILE + 2));
}

function loadPicture(name) {
  if (inFlight.has(name)) return;
  inFlight.add(name);
  const image = new Image();
  image.onload = () => {
    inFlight.delete(name);
    keep(pictures, name, image, room());
    redraw();
  };
  image.src = `image/${name}.jpg`;
}

function loadObjects(name) {
  const file = `objects/${name}.js`;
  if (inFlight.has(file)) return;
  inFlight.add(file);
  const script = document.createElement("script");
  script.onload = () => {
    inFlight.delete(file);
    script.remove();
    redraw();
  };
  script.src = file;
  document.head.append(script);
}

/** Called by the files of objects: which there are ([number, class, score]), and runs (place there + 1, or 0; length). */
window.objects = (name, size, found, runs) => {
  const [across, down] = size, numbers = new Uint32Array(across * down);
  for (let i = 0, at = 0; i < runs.length; at += runs[i + 1], i += 2) numbers.fill(runs[i], at, at + runs[i + 1]);
  keep(maps, name, { across, down, numbers, found, drawn: new Map() }, room());
};

function colourOf([number, label]) {
  return classes.length > 1 ? colours[label % colours.length] : colours[number % colours.length];
}

/** A canvas of a tile's objects. */
function drawing(map) {
  if (map.drawn.has(shown)) return map.drawn.get(shown);
  const { across, down, numbers, found } = map, picture = document.createElement("canvas");
  [picture.width, picture.height] = [across, down];
  const context = picture.getContext("2d"), pixels = context.createImageData(across, down), rgba = pixels.data;
  const colourOfPlace = found.map(colourOf);
  for (let y = 0, i = 0; y < down; y++) {
    for (let x = 0; x < across; x++, i++) {
      const own = numbers[i];
      if (!own) continue;
      const edge =
        (x > 0 && numbers[i - 1] !== own) || (x + 1 < across && numbers[i + 1] !== own) ||
        (y > 0 && numbers[i - across] !== own) || (y + 1 < down && numbers[i + across] !== own);
      if (!edge && shown === "outlines") continue;
      const [red, green, blue] = colourOfPlace[own - 1];
      rgba.set([red, green, blue, edge ? 255 : 110], 4 * i);
    }
  }
  context.putImageData(pixels, 0, 0);
  map.drawn.set(shown, picture);
  return picture;
}

// --- drawing --------------------------------------------------------------------------------------------------------

function level() {
  const best = Math.floor(Math.log2(1 / (view.scale * devicePixelRatio)) + 1e-9);
  return Math.min(Math.max(best, 0), levels - 1);
}

function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(draw);
}

function draw() {
  asked = false;
  const ratio = devicePixelRatio, box = canvas.getBoundingClientRect();
  [canvas.width, canvas.height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
  limit(box);
  const scale = view.scale * ratio, current = level();
  screen.imageSmoothingEnabled = scale < 2;
  screen.setTransform(scale, 0, 0, scale, canvas.width / 2 - view.x * scale, canvas.height / 2 - view.y * scale);
  let complete = true;
  for (const [row, column] of visible(current, box)) {
    complete = place(current, row, column, pictures, loadPicture, (image) => image) && complete;
  }
  for (const [row, column] of shown === "hidden" ? [] : visible(current, box)) {
    if (hasObjects(current, row, column)) complete = place(current, row, column, maps, loadObjects, drawing) && complete;
  }
  Object.assign(canvas.dataset, { x: view.x, y: view.y, scale: view.scale, level: current, complete });
}

/** [row, column] of the tiles of a level that the view shows. */
function* visible(level, box) {
  const side = TILE * 2 ** level, halfX = box.width / 2 / view.scale, halfY = box.height / 2 / view.scale;
  const first = (middle, half) => Math.max(Math.floor((middle - half) / side), 0);
  const end = (middle, half, length) => Math.min(Math.ceil((middle + half) / side), Math.ceil(length / side));
  for (let row = first(view.y, halfY); row < end(view.y, halfY, height); row++) {
    for (let column = first(view.x, halfX); column < end(view.x, halfX, width); column++) yield [row, column];
  }
}

/** Draw a tile, or until it has come the part of a coarser one; whether it is there. */
function place(level, row, column, cache, load, pictureOf) {
  for (let up = 0; level + up < levels; up++) {
    const parentRow = row >> up, parentColumn = column >> up;
    const found = kept(cache, `${level + up}/${parentRow}_${parentColumn}`);
    if (found) {
      const picture = pictureOf(found), size = TILE / 2 ** up, pixel = 2 ** level, perPixel = 2 ** up;
      const left = (column - (parentColumn << up)) * size, top = (row - (parentRow << up)) * size;
      const w = Math.min(size, picture.width - left), h = Math.min(size, picture.height - top);
      const onto = [column * TILE * pixel, row * TILE * pixel, w * pixel * perPixel, h * pixel * perPixel];
      if (w > 0 && h > 0) screen.drawImage(picture, left, top, w, h, ...onto);
      if (up === 0) return true;
      break;
    }
  }
  load(`${level}/${row}_${column}`);
  return false;
}

// --- moving ---------------------------------------------------------------------------------------------------------

function fitting(box) {
  return Math.min(box.width / width, box.height / height);
}

function limit(box) {
  view.scale = Math.min(Math.max(view.scale, Math.min(fitting(box), 1) / 2), DEEPEST);
  view.x = Math.min(Math.max(view.x, 0), width);
  view.y = Math.min(Math.max(view.y, 0), height);
}

function fit() {
  Object.assign(view, { x: width / 2, y: height / 2, scale: Math.min(fitting(canvas.getBoundingClientRect()), 4) });
  redraw();
}

function moveBy(dx, dy) {
  view.x -= dx / view.scale;
  view.y -= dy / view.scale;
  redraw();
}

/** Zoom so that what is under a point of the window stays there. */
function zoom(factor, clientX, clientY) {
  const box = canvas.getBoundingClientRect(), before = view.scale;
  view.scale = before * factor;
  limit(box);
  const dx = (clientX ?? box.x + box.width / 2) - box.x - box.width / 2;
  const dy = (clientY ?? box.y + box.height / 2) - box.y - box.height / 2;
  view.x += dx / before - dx / view.scale;
  view.y += dy / before - dy / view.scale;
  redraw();
}

const fingers = new Map();

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  tell(event);
});
canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return tell(event);
  if (fingers.size === 1) moveBy(event.clientX - before.clientX, event.clientY - before.clientY);
  if (fingers.size === 2) {
    const other = [...fingers.values()].find((finger) => finger.pointerId !== event.pointerId);
    const distance = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
    moveBy((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2];
    zoom(distance(event) / Math.max(distance(before), 1), ...middle);
  }
  fingers.set(event.pointerId, event);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
canvas.addEventListener("pointerleave", () => (hover.textContent = ""));
canvas.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    zoom(Math.exp((-event.deltaY * lines) / 400), event.clientX, event.clientY);
  },
  { passive: false },
);

const actions = {
  in: () => zoom(STEP),
  out: () => zoom(1 / STEP),
  fit,
  show: () => {
    shown = SHOWN[(SHOWN.indexOf(shown) + 1) % SHOWN.length];
    document.getElementById("shown").textContent = shown;
    redraw();
  },
};
const KEYS = { "+": "in", "=": "in", "-": "out", 0: "fit", m: "show" };
const ARROWS = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", actions[button.value]);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = actions[KEYS[event.key]], arrow = ARROWS[event.key];
  if (action) action();
  else if (arrow) moveBy(...arrow);
  else return;
  event.preventDefault();
});

/** Name the object under the pointer. */
function tell(event) {
  const box = canvas.getBoundingClientRect(), current = level(), pixel = 2 ** current;
  const x = Math.floor((view.x + (event.clientX - box.x - box.width / 2) / view.scale) / pixel);
  const y = Math.floor((view.y + (event.clientY - box.y - box.height / 2) / view.scale) / pixel);
  const map = maps.get(`${current}/${Math.floor(y / TILE)}_${Math.floor(x / TILE)}`);
  const [column, row] = [x % TILE, y % TILE];
  const place = map && x >= 0 && y >= 0 && column < map.across && row < map.down ? map.numbers[row * map.across + column] : 0;
  const [number, label, score] = place ? map.found[place - 1] : [];
  hover.textContent = place ? `${classes[label]} ${number}, score ${score.toFixed(2)}` : "";
}

new ResizeObserver(redraw).observe(canvas);
fit();
