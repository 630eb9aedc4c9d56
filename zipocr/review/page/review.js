"use strict";

// The review page. The server keeps the queue and the decisions; this page shows them and handles keys. All data from the
// server is set as text, never as HTML. Pictures are drawn on canvases: everything is fetched from this address.

const ZIP = 5, NINE = 9, KEPT = 8, WEAK = 0.9;
const KEYS = ["a", "b", "c", "d"];
const $ = (id) => document.getElementById(id);

let state = null; // last state from the server
let item = null; // the page to decide
let entry = null; // the data fetched for it
let typed = false; // whether the focused field was reached by typing, so that Backspace removes the digit before
let caret = 0; // position of typing; one past the last field if that is filled
let busy = false; // whether a decision is being sent
const store = new Map(); // data fetched for this page and the next ones, by number

// ---- fetching

async function fetchJson(path, options) {
  const response = await fetch(path, options);
  if (response.status === 403 || response.status === 404) throw new Error("elsewhere");
  return { status: response.status, body: await response.json() };
}

function post(path, body) {
  return fetchJson(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

async function fetchPicture(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${response.status}`);
  if (response.headers.get("Content-Type") !== "image/png") return { trouble: (await response.json()).trouble };
  return { bitmap: await createImageBitmap(await response.blob()) };
}

// Start fetching the parts of a page; each is announced when it arrives.
function load(number) {
  if (store.has(number)) return store.get(number);
  const found = { number, crop: null, look: null, tiles: null };
  store.set(number, found);
  while (store.size > KEPT) store.delete(store.keys().next().value);
  const tell = (part, value) => {
    found[part] = value;
    if (entry === found) draw();
  };
  fetchPicture(`items/${number}/crop`)
    .then((crop) => tell("crop", crop))
    .catch(() => tell("crop", { trouble: "The picture could not be loaded." }));
  fetchJson(`items/${number}/look`)
    .then(async ({ body }) => {
      if (body.tiles) found.tiles = (await fetchPicture(`items/${number}/tiles`)).bitmap;
      tell("look", body);
    })
    .catch(() => tell("look", { zip: "", shapes: [], strings: [], tiles: false, trouble: "" }));
  return found;
}

// ---- showing

function show(newState) {
  state = newState;
  item = state.items[0] ?? null;
  entry = item && load(item.number);
  state.items.slice(1).forEach((next) => load(next.number));
  showProgress();
  $("review").hidden = !item;
  $("end").hidden = Boolean(item);
  for (const button of document.querySelectorAll(".undo")) button.disabled = !state.can_undo;
  if (!item) return showEnd();
  $("name").textContent = item.file;
  $("page").textContent = item.page > 1 ? `page ${item.page}` : "";
  $("review").dataset.number = item.number;
  makeFields(item.zip.length > ZIP ? NINE : ZIP);
  fill(item.zip);
  showWhy();
  draw();
  focusField(0);
}

function decided() {
  return state.counts.confirmed + state.counts.corrected + state.counts.not_a_zip;
}

function showProgress() {
  const left = state.total - decided() - state.counts.skipped - state.elsewhere;
  $("done").textContent = `${decided()} of ${state.total}`;
  $("pace").textContent = state.pace === null || !item ? "" : `· ${state.pace.toFixed(1)} s each · ${duration(state.pace * left)} left`;
  $("bar").setAttribute("aria-valuemax", state.total);
  $("bar").setAttribute("aria-valuenow", decided());
  $("bar-done").style.width = `${(100 * decided()) / state.total}%`;
  document.title = item ? `${decided()} of ${state.total} · zipocr review` : "Done · zipocr review";
}

function duration(seconds) {
  if (seconds < 60) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
  return `about ${(minutes / 60).toFixed(1)} hours`;
}

function percent(share) {
  if (share === null || share === undefined) return "";
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value < 1 || (value > 99 && value < 100)) return `${(Math.floor(value * 10) / 10).toFixed(1)} %`;
  return `${Math.round(value)} %`;
}

function showWhy() {
  $("sure").replaceChildren();
  if (item.confidence !== null) {
    const share = document.createElement("strong");
    share.textContent = percent(item.confidence);
    $("sure").append(share, " sure that all digits are right.");
  } else if (state.blind) {
    $("sure").textContent = "This is an audit: confidences are hidden.";
  } else {
    $("sure").textContent = "No ZIP was read.";
  }
  $("why").replaceChildren(...item.why.map((line) => {
    const element = document.createElement("li");
    element.textContent = line;
    return element;
  }));
}

// Everything that may arrive after the page itself.
function draw() {
  drawCrop();
  fields().forEach((field, place) => drawTile(field.parentElement.querySelector("canvas"), place));
  showStrings();
  mark(fields().indexOf(document.activeElement));
  $("review").setAttribute("aria-busy", String(!(entry.crop && entry.look)));
}

function drawCrop() {
  const crop = entry.crop;
  $("trouble").hidden = !crop?.trouble;
  $("frame").hidden = !crop?.bitmap;
  if (crop?.trouble) $("trouble").textContent = crop.trouble;
  if (!crop?.bitmap) return;
  const canvas = $("picture");
  canvas.setAttribute("aria-label", `The scanned crop ${item.file}`);
  if (canvas.drawn !== crop.bitmap) {
    canvas.width = crop.bitmap.width;
    canvas.height = crop.bitmap.height;
    canvas.getContext("2d").drawImage(crop.bitmap, 0, 0);
    canvas.drawn = crop.bitmap;
  }
  fitCrop();
}

// As large as the panel allows, at most six times.
function fitCrop() {
  const canvas = $("picture"), panel = $("crop"), style = getComputedStyle(panel);
  const width = panel.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const height = panel.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const scale = Math.min(width / canvas.width, height / canvas.height, 6);
  canvas.style.width = `${canvas.width * scale}px`;
  canvas.style.height = `${canvas.height * scale}px`;
}

// Whether reading again found as many digits as the row has, or the row has none.
function fits(count) {
  const wanted = item.zip.replace("-", "").length;
  return !wanted || count === wanted;
}

// The boxes of the digits; none on a whole page, where the digits are shown by themselves.
function shapes() {
  const found = entry?.look?.shapes ?? [];
  return fits(found.length) ? found : [];
}

function drawTile(canvas, place) {
  const context = canvas.getContext("2d"), tiles = entry.tiles;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const count = tiles ? tiles.width / tiles.height : 0;
  if (!fits(count) || place >= count) return;
  context.drawImage(tiles, place * tiles.height, 0, tiles.height, tiles.height, 0, 0, canvas.width, canvas.height);
}

function mark(place) {
  const shape = shapes()[place];
  $("marker").hidden = !shape;
  if (!shape) return;
  const outset = 0.012;
  $("marker").style.left = `${100 * (shape.left - outset / 2)}%`;
  $("marker").style.top = `${100 * (shape.top - outset)}%`;
  $("marker").style.width = `${100 * (shape.width + outset)}%`;
  $("marker").style.height = `${100 * (shape.height + 2 * outset)}%`;
}

// The alternatives: those of reading again, or until these arrive, the one in the row.
function others() {
  const known = entry.look?.strings.length ? entry.look.strings : item.runner_up ? [[item.runner_up, item.runner_up_confidence]] : [];
  return known.filter(([text]) => text !== item.zip).slice(0, KEYS.length);
}

function showStrings() {
  $("others").hidden = others().length === 0;
  $("strings").replaceChildren(...others().map(([text, share], place) => {
    const line = document.createElement("li"), button = document.createElement("button"), key = document.createElement("kbd");
    const string = document.createElement("span"), quiet = document.createElement("span");
    key.textContent = KEYS[place];
    string.className = "string";
    string.append(...[...text].map((letter, index) => {
      const span = document.createElement("span");
      span.textContent = letter;
      if (item.zip && letter !== item.zip[index]) span.className = "differs";
      return span;
    }));
    quiet.className = "quiet";
    quiet.textContent = percent(share);
    button.type = "button";
    button.setAttribute("aria-label", `${KEYS[place]}: ${text} ${percent(share)}`);
    button.append(key, string, quiet);
    button.addEventListener("click", () => take(text));
    line.append(button);
    return line;
  }));
}

function showEnd() {
  const counts = state.counts, skipped = counts.skipped;
  $("name").textContent = "";
  $("page").textContent = "";
  const elsewhere = state.elsewhere ? ` Others are looking at ${state.elsewhere} more: come back to this page later.` : "";
  $("end-title").textContent = skipped ? `All reviewed, ${skipped} skipped` : elsewhere ? "Nothing left for you now" : "All decided";
  const pace = state.pace === null ? "" : `, ${state.pace.toFixed(1)} seconds each`;
  $("end-text").textContent = `${decided()} of ${state.total} ${state.total === 1 ? "page is" : "pages are"} decided${pace}.${elsewhere}`;
  $("end-counts").replaceChildren(...[
    ["confirmed", counts.confirmed], ["corrected", counts.corrected], ["not a ZIP", counts.not_a_zip], ["skipped", skipped],
  ].flatMap(([name, count]) => {
    const term = document.createElement("dt"), value = document.createElement("dd");
    term.textContent = name;
    value.textContent = count;
    return [term, value];
  }));
  $("next-command").textContent = state.next_command;
  $("reopen").hidden = !skipped;
  $("end-title").focus();
}

// ---- the fields

function fields() {
  return [...document.querySelectorAll(".digit input")];
}

function makeFields(count) {
  if (fields().length === count) return;
  const made = [];
  for (let place = 0; place < count; place++) {
    if (place === ZIP) {
      const dash = document.createElement("div");
      dash.className = "dash";
      dash.textContent = "–";
      dash.setAttribute("aria-hidden", "true");
      made.push(dash);
    }
    made.push(makeField(place, count));
  }
  $("digits").classList.toggle("nine", count === NINE);
  $("digits").replaceChildren(...made);
}

function makeField(place, count) {
  const digit = document.createElement("div"), tile = document.createElement("canvas");
  const input = document.createElement("input"), share = document.createElement("div");
  digit.className = "digit";
  tile.width = tile.height = 128;
  tile.setAttribute("aria-hidden", "true");
  input.type = "text";
  input.inputMode = "numeric";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.setAttribute("aria-label", `Digit ${place + 1} of ${count}`);
  input.addEventListener("focus", () => {
    typed = false;
    input.select();
    mark(place);
  });
  // Input without key events, as from an on-screen keyboard.
  input.addEventListener("input", () => {
    const text = input.value;
    setDigit(place, "");
    write(text, place);
  });
  share.className = "share";
  digit.append(tile, input, share);
  return digit;
}

function fill(text) {
  const digits = text.replace("-", "");
  fields().forEach((_, place) => setDigit(place, digits[place] ?? ""));
  showPlace();
}

function setDigit(place, digit) {
  const field = fields()[place], read = item.zip.replace("-", "")[place] ?? "", share = item.digits[place];
  field.value = digit;
  const changed = digit !== read && read !== "";
  field.parentElement.classList.toggle("changed", changed);
  const line = field.parentElement.querySelector(".share");
  line.textContent = changed ? `read ${read}` : digit && share !== undefined ? percent(share) : "";
  line.classList.toggle("weak", !changed && share !== undefined && share < WEAK);
}

function focusField(place) {
  const all = fields();
  all[Math.max(0, Math.min(place, all.length - 1))].focus();
}

// Enter digits from a position on, as typed or pasted.
function write(text, place) {
  for (const letter of text) {
    if (letter === "-") {
      openNine();
      place = ZIP;
    } else if (/[0-9]/.test(letter) && place < fields().length) {
      setDigit(place++, letter);
    }
  }
  focusField(place);
  standAfterTyping(place);
  showPlace();
}

function standAfterTyping(place) {
  typed = true;
  caret = place;
}

function openNine() {
  if (fields().length === NINE) return;
  const digits = fields().map((field) => field.value);
  makeFields(NINE);
  digits.forEach((digit, place) => setDigit(place, digit));
  for (let place = ZIP; place < NINE; place++) setDigit(place, "");
  draw();
}

function closeNine() {
  const digits = fields().slice(0, ZIP).map((field) => field.value);
  makeFields(ZIP);
  digits.forEach((digit, place) => setDigit(place, digit));
  draw();
  focusField(ZIP - 1);
  standAfterTyping(ZIP);
}

// Put an alternative into the fields.
function take(text) {
  makeFields(text.length > ZIP ? NINE : ZIP);
  fill(text);
  draw();
  focusField(0);
  say(`${text} is in the fields.`);
}

// The ZIP in the fields as sent to the server; null while incomplete.
function entered() {
  const digits = fields().map((field) => field.value || " ").join("");
  const [zip, plus4] = [digits.slice(0, ZIP), digits.slice(ZIP)];
  if (/ /.test(zip)) return null;
  if (plus4.trim() === "") return zip;
  return / /.test(plus4) ? null : `${zip}-${plus4}`;
}

let asked = "";
const places = new Map();
async function showPlace() {
  if ($("alarm").dataset.passing === "true") alarm("");
  const zip = fields().slice(0, ZIP).map((field) => field.value).join("");
  asked = zip;
  const line = $("place");
  if (zip.length < ZIP) {
    line.textContent = "";
    return;
  }
  if (!places.has(zip)) {
    try {
      places.set(zip, (await fetchJson(`places/${zip}`)).body);
    } catch {
      return;
    }
    if (asked !== zip) return;
  }
  const place = places.get(zip);
  line.classList.toggle("unlisted", !place);
  line.textContent = place ? [place.city, place.state].filter(Boolean).join(", ") || "listed" : `No place is listed for ${zip}`;
}

// ---- deciding

async function change(path, body) {
  if (busy) return;
  busy = true;
  try {
    const { status, body: answer } = await post(path, body);
    if (status === 200) {
      alarm("");
      show(answer.state);
      return true;
    }
    alarm(answer.said);
    if (status === 409) show(answer.state);
  } catch (error) {
    alarm(error.message === "elsewhere"
      ? "This page belongs to an earlier review. Continue at the address that zipocr review has printed now; all decisions are kept."
      : "zipocr review does not answer any more, and this page was not decided. Start it again with the same command: " + "all decisions are kept, and the review continues here.");
  } finally {
    busy = false;
  }
}

async function decide(answer) {
  if (!item || busy) return;
  const zip = answer === "accept" ? entered() : "";
  if (zip === null) {
    alarm("A ZIP has five digits, or nine. Press s to skip this page, x if it shows no ZIP.", { passing: true });
    return;
  }
  if (answer === "accept" && !entry.crop) {
    alarm("The picture has not arrived yet.", { passing: true });
    return;
  }
  const file = item.file;
  if (await change("decide", { number: item.number, answer, zip })) {
    say(`${file}: ${{ accept: zip, not_a_zip: "not a ZIP", skip: "skipped" }[answer]}. ${item ? `Next: ${item.zip || "no ZIP read"}.` : ""}`);
  }
}

async function undo() {
  if (state.can_undo && (await change("undo", { revision: state.revision }))) say("Undone.");
}

function say(text) {
  $("said").textContent = text;
}

// A temporary message disappears when the digits change.
function alarm(text, { passing = false } = {}) {
  $("alarm-text").textContent = text;
  $("alarm").hidden = !text;
  $("alarm").dataset.passing = passing;
}

// Another window may have continued meanwhile.
async function catchUp() {
  if (document.visibilityState !== "visible" || busy || !state) return;
  try {
    const { body } = await fetchJson("state");
    if (!busy && !item && body.items[0]) return show(body); // others have left pages
    if (busy || body.revision === state.revision) return;
    const moved = item && body.items[0]?.number !== item.number;
    if (moved) {
      show(body);
      alarm("This review continued in another window; here is the next page.");
    } else {
      state = body;
      showProgress();
    }
  } catch {
    // The next decision will report it.
  }
}

// ---- keys

const COMMANDS = {
  x: () => decide("not_a_zip"),
  s: () => decide("skip"),
  u: undo,
  r: () => !item && !$("reopen").hidden && change("reopen", {}),
  "?": () => $("keys").showModal(),
};

const MOVES = {
  ArrowLeft: (place) => focusField(place - 1),
  ArrowRight: (place) => focusField(place + 1),
  Home: () => focusField(0),
  End: () => focusField(NINE),
  Backspace: eraseBefore,
  Delete: (place) => erase(place),
};

function erase(place) {
  setDigit(place, "");
  focusField(place);
  showPlace();
}

// After typing, Backspace removes the typed digit; otherwise the one in the field, or the one before an empty field.
function eraseBefore(place) {
  const all = fields();
  if ((typed ? caret : place) === ZIP && all.length === NINE && all.slice(ZIP).every((field) => !field.value)) {
    closeNine();
  } else if (typed && caret > 0) {
    erase(caret - 1);
    standAfterTyping(caret - 1);
  } else if (all[place].value) {
    erase(place);
  } else if (place > 0) {
    erase(place - 1);
  }
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || $("keys").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const all = fields(), place = item ? all.indexOf(document.activeElement) : -1;
  if (key in COMMANDS) {
    event.preventDefault();
    if (!event.repeat) COMMANDS[key]();
  } else if (!item) {
    return;
  } else if (/^[0-9-]$/.test(key)) {
    event.preventDefault();
    if (!busy) write(key, place < 0 ? 0 : typed ? caret : place);
  } else if (KEYS.includes(key)) {
    event.preventDefault();
    const other = others()[KEYS.indexOf(key)];
    if (other && !busy) take(other[0]);
  } else if (place >= 0 && key in MOVES) {
    event.preventDefault();
    if (!busy) MOVES[key](place);
  } else if (key === "Enter") {
    // Enter presses a focused button; everywhere else it accepts.
    if (document.activeElement instanceof HTMLButtonElement) return;
    event.preventDefault();
    if (!event.repeat) decide("accept");
  } else if (place >= 0 && key.length === 1) {
    event.preventDefault(); // no other character belongs in a field
  }
}

function onPaste(event) {
  const text = event.clipboardData.getData("text").trim();
  event.preventDefault();
  if (item && !busy && /^[0-9]{5}(-?[0-9]{4})?$/.test(text)) take(text.length === NINE ? `${text.slice(0, ZIP)}-${text.slice(ZIP)}` : text);
}

async function start() {
  document.addEventListener("keydown", onKey);
  document.addEventListener("paste", onPaste);
  document.addEventListener("visibilitychange", catchUp);
  window.addEventListener("focus", catchUp);
  window.addEventListener("resize", () => entry?.crop?.bitmap && fitCrop());
  $("form").addEventListener("submit", (event) => { event.preventDefault(); decide("accept"); });
  $("not-a-zip").addEventListener("click", () => decide("not_a_zip"));
  $("skip").addEventListener("click", () => decide("skip"));
  $("reopen").addEventListener("click", COMMANDS.r);
  $("help").addEventListener("click", COMMANDS["?"]);
  $("keys-close").addEventListener("click", () => $("keys").close());
  $("alarm-close").addEventListener("click", () => { alarm(""); if (item) focusField(0); });
  for (const button of document.querySelectorAll(".undo")) button.addEventListener("click", undo);
  try {
    show((await fetchJson("state")).body);
  } catch {
    alarm("zipocr review does not answer. Start it again with the same command: all decisions are kept.");
  }
}

start();
