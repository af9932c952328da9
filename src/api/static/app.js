// The page: a plan is sent, its job followed, its rooms shown over the page's picture. Sections: words, requests,
// the walk of one plan, the result, the drawing, what is saved, wiring.

const API = new URL("api/v1", document.baseURI).href; // the service may be found below a path of its own
const MAX_FILE_BYTES = 50 * 1024 * 1024;
const SMALL_FILE_BYTES = 4 * 1024 * 1024; // up to here a file goes with the job; above, it is uploaded first
const WAIT_S = 20;
const RETRY_DELAYS_MS = [1000, 2000, 4000, 8000];
const TOKEN_ITEM = "location-detection-token";
const SVG = "http://www.w3.org/2000/svg";
const LEVELS = [
  { from: 0.8, name: "sure", className: "sure", stroke: "#1d4ed8", dash: null },
  { from: 0.5, name: "check", className: "check-it", stroke: "#a15c00", dash: [7, 4] },
  { from: 0, name: "doubtful", className: "doubt", stroke: "#a3195b", dash: [3, 3] },
];
const OPENING_STROKES = { door: "#15803d", gap: "#15803d", window: "#0e7490" };

// ---- words ----

const FLAG_WORDS = {
  leaky: "its walls do not close: part of the outline may be wrong",
  closed_by_guess: "an opening was closed by guess, where no door is drawn",
  no_label: "no name was read in it",
  odd_shape: "its shape is unusual for a room",
};
const STAGE_WORDS = {
  queued: "Waiting for a free worker",
  starting: "Starting",
  open: "Opening the document",
  picture: "Drawing the page",
  walls: "Looking for walls and openings",
  rooms: "Putting the rooms together",
  done: "Done",
};
const TITLES = {
  INVALID_FILE_FORMAT: "This file cannot be read as a plan",
  FILE_TOO_LARGE: "This plan is too large",
  JOB_NOT_FOUND: "This result is not here",
  PROCESSING_FAILED: "The plan could not be processed",
  SERVICE_UNAVAILABLE: "The service is busy",
  NETWORK: "The server cannot be reached",
  CANCELLED: "This job was cancelled",
};
const ADVICE = {
  INVALID_FILE_FORMAT: "Save or export the plan as PNG, JPG or PDF (without a password) and choose it again.",
  FILE_TOO_LARGE: "Send fewer pages at once, or export the plan smaller: up to 50 MB, 200 pages, 120 million pixels.",
  JOB_NOT_FOUND: "Results are kept for seven days. Choose the plan again to find its rooms anew.",
  PROCESSING_FAILED: "Try once more; if it fails again, another export of the same plan (PDF instead of a picture) may help.",
  SERVICE_UNAVAILABLE: "Wait a moment and try again; the plan was not taken in.",
  UPLOAD_NOT_ALLOWED: "The upload took too long or was cut off. Try again.",
  INTERNAL_ERROR: "Try again; if it stays so, tell whoever runs this server the number below.",
  NETWORK: "Check the connection and that the server runs, then try again.",
  CANCELLED: "Choose the plan again to find its rooms.",
};
const WORTH_RETRYING = new Set(["PROCESSING_FAILED", "SERVICE_UNAVAILABLE", "UPLOAD_NOT_ALLOWED", "INTERNAL_ERROR", "NETWORK"]);

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const percent = (ratio) => `${Math.round(100 * ratio)} %`;
const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const levelOf = (room) => LEVELS.find((level) => room.confidence >= level.from) ?? LEVELS.at(-1);
const orderOf = (room) => Number(room.id.replace("room_", ""));
const nameOf = (room) => [room.name_hint, room.number].filter(Boolean).join(" ") || `Room ${orderOf(room)}`;
const isNamed = (room) => Boolean(room.name_hint || room.number);
const areaOf = (room) => (room.area_m2 === null ? "" : `${number.format(room.area_m2)} m²`);
const flagsOf = (room) => room.flags.map((flag) => FLAG_WORDS[flag] ?? flag);
const inWords = (room) =>
  [nameOf(room), `confidence ${percent(room.confidence)}, ${levelOf(room).name}`, areaOf(room), ...flagsOf(room)]
    .filter(Boolean)
    .join("; ");

function sizeWords(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${number.format(bytes / 1e6)} MB`;
}

// ---- requests ----

class Problem extends Error {
  constructor(code, message, { details = {}, requestId = "", status = 0 } = {}) {
    super(message);
    Object.assign(this, { code, details, requestId, status });
  }
}

let token = "";
try {
  token = sessionStorage.getItem(TOKEN_ITEM) ?? "";
} catch {
  // Storage is closed to this page: the token then lives as long as the page.
}

function keepToken(text) {
  token = text;
  try {
    sessionStorage.setItem(TOKEN_ITEM, text);
  } catch {
    // as above
  }
}

/** The answer to a request; XMLHttpRequest, because it alone tells how much has been sent. */
function request(method, url, { body = null, headers = {}, signal, onSent, as = "text", own = true } = {}) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    xhr.open(method, url);
    xhr.responseType = as;
    if (own && token) xhr.setRequestHeader("Authorization", `Bearer ${token}`);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (onSent) xhr.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    xhr.onload = async () => (xhr.status < 400 ? resolve(xhr.response) : reject(await problemOf(xhr, own)));
    xhr.onerror = () => reject(new Problem("NETWORK", "No answer came back."));
    xhr.onabort = () => reject(new DOMException("stopped", "AbortError"));
    xhr.onloadend = () => signal?.removeEventListener("abort", stop);
    if (signal?.aborted) return reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", stop);
    xhr.send(body);
  });
}

async function problemOf(xhr, own) {
  const text = xhr.responseType === "blob" ? await xhr.response.text() : xhr.response;
  try {
    const { error, meta } = JSON.parse(text);
    return new Problem(error.code, error.message, { details: error.details, requestId: meta?.request_id, status: xhr.status });
  } catch {
    // Not the service itself: a gateway before it, or the store that a ticket leads to.
    const tooLarge = xhr.status === 413 || text.includes("<Code>EntityTooLarge</Code>");
    const refused = !own && xhr.status < 500 ? "UPLOAD_NOT_ALLOWED" : "INTERNAL_ERROR";
    const code = tooLarge ? "FILE_TOO_LARGE" : xhr.status >= 502 || xhr.status === 429 ? "SERVICE_UNAVAILABLE" : refused;
    return new Problem(code, `The server answered with status ${xhr.status}.`, { status: own ? xhr.status : 0 });
  }
}

async function requestData(method, path, options) {
  return JSON.parse(await request(method, API + path, options)).data;
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    const stop = () => (clearTimeout(timer), reject(new DOMException("stopped", "AbortError")));
    signal.addEventListener("abort", stop, { once: true });
  });
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- the walk of one plan ----

const $ = (id) => document.getElementById(id);
let walk = null; // what is under way or shown: {abort, file, name, key, uploadKey, jobId, spent}

function newWalk(file, jobId = null) {
  walk?.abort.abort();
  clearResult();
  walk = { abort: new AbortController(), file, name: file?.name ?? "", key: randomKey(), uploadKey: null, jobId, spent: false };
  return walk;
}

function showOnly(...ids) {
  for (const id of ["choose", "failure", "token-form", "work", "result"]) $(id).hidden = !ids.includes(id);
}

async function go(mine) {
  showOnly("work");
  $("cancel").disabled = false;
  $("work-title").textContent = mine.name ? `Finding rooms in ${mine.name}` : "Finding rooms";
  $("work").focus();
  try {
    if (!mine.jobId) mine.jobId = await send(mine);
    history.replaceState(null, "", `#${mine.jobId}`);
    const job = await follow(mine);
    mine.spent = job.status !== "completed";
    if (job.status === "failed") throw new Problem(job.error.code, job.error.message, { details: job.error.details });
    if (job.status === "cancelled") throw new Problem("CANCELLED", "Its rooms were not looked for to the end.");
    tell("show", "Loading the rooms", null);
    const text = await request("GET", `${API}/jobs/${mine.jobId}/result`, { signal: mine.abort.signal });
    showResult(mine, text);
  } catch (error) {
    if (mine !== walk || error.name === "AbortError") return;
    if (error.status === 401) askForToken(mine);
    else showFailure(mine, error);
  }
}

/** The id of the job that was made of the file. */
async function send(mine) {
  const { file } = mine;
  const { signal } = mine.abort;
  if (file.size > MAX_FILE_BYTES) {
    throw new Problem("FILE_TOO_LARGE", `${file.name} has ${sizeWords(file.size)}; a plan may have up to 50 MB.`);
  }
  const onSent = (share) =>
    share < 1 ? tell("upload", `Uploading ${percent(share)} of ${sizeWords(file.size)}`, share) : tell("upload", "Checking the file", null);
  tell("upload", "Uploading", 0);
  const headers = { "Idempotency-Key": mine.key };
  if (file.size < SMALL_FILE_BYTES) {
    const job = await requestData("POST", "/jobs", { body: formOf({}, file), headers, signal, onSent });
    return job.job_id;
  }
  if (!mine.uploadKey) {
    const ticket = await requestData("POST", "/uploads", { signal });
    const body = formOf(ticket.fields, file);
    await request(ticket.method, ticket.url, { body, signal, onSent, own: false });
    mine.uploadKey = ticket.key;
  }
  const body = JSON.stringify({ blueprint: { key: mine.uploadKey, format: await sniff(file) } });
  headers["Content-Type"] = "application/json";
  return (await requestData("POST", "/jobs", { body, headers, signal })).job_id;
}

function formOf(fields, file) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, "blueprint"); // the file's own name is nobody's business
  return form;
}

/** The format that the first bytes tell; what is none of the three the server will name. */
async function sniff(file) {
  const bytes = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (bytes[0] === 0x89) return "png";
  return bytes[0] === 0xff ? "jpg" : "pdf";
}

/** The job when it has ended. */
async function follow(mine) {
  const { signal } = mine.abort;
  let waitS = 0;
  let failures = 0;
  for (;;) {
    try {
      const job = await requestData("GET", `/jobs/${mine.jobId}?wait=${waitS}`, { signal });
      if (["completed", "failed", "cancelled"].includes(job.status)) return job;
      tellJob(job);
      if (waitS) await pause(100, signal); // a server that does not wait must not be asked without rest
      [waitS, failures] = [WAIT_S, 0];
    } catch (error) {
      if (!["NETWORK", "SERVICE_UNAVAILABLE"].includes(error.code) || failures === RETRY_DELAYS_MS.length) throw error;
      $("work-state").textContent = "The server does not answer; trying again";
      await pause(RETRY_DELAYS_MS[failures++], signal);
    }
  }
}

function tellJob(job) {
  const words = STAGE_WORDS[job.stage] ?? job.stage;
  if (job.status === "pending") tell("queue", STAGE_WORDS.queued, null);
  else tell("find", job.message ? `${words} (${job.message.toLowerCase()})` : words, job.progress);
}

function tell(step, words, share) {
  let passed = true;
  for (const item of $("steps").children) {
    const current = item.dataset.step === step;
    if (current) passed = false;
    item.classList.toggle("done", passed);
    current ? item.setAttribute("aria-current", "step") : item.removeAttribute("aria-current");
  }
  share === null ? $("bar").removeAttribute("value") : ($("bar").value = share);
  if ($("work-state").textContent !== words) $("work-state").textContent = words;
}

async function cancel() {
  const mine = walk;
  $("cancel").disabled = true;
  if (!mine.jobId) {
    mine.abort.abort();
    return startOver("The upload was cancelled.");
  }
  try {
    await requestData("DELETE", `/jobs/${mine.jobId}`);
  } catch (error) {
    if (error.code === "JOB_ALREADY_COMPLETED") return; // it was quicker: its end is shown by who follows it
    if (mine === walk) {
      mine.abort.abort();
      showFailure(mine, error);
    }
    return;
  }
  if (mine !== walk) return;
  mine.abort.abort();
  startOver("Cancelled. Nothing was looked for any further.");
}

function startOver(notice = "") {
  walk?.abort.abort();
  walk = null;
  clearResult();
  history.replaceState(null, "", location.pathname + location.search);
  document.title = "Location Detection";
  showOnly("choose");
  $("notice").textContent = notice;
  $("file").value = "";
  $("file").focus();
}

function showFailure(mine, error) {
  const code = error instanceof Problem ? error.code : "PAGE";
  if (!(error instanceof Problem)) console.error(error);
  showOnly("failure");
  $("failure-title").textContent = TITLES[code] ?? "That did not work";
  $("failure-message").textContent = code === "PAGE" ? "The page itself failed to show the result." : error.message;
  $("failure-facts").replaceChildren(...factsOf(error.details ?? {}).map((fact) => element("li", { text: fact })));
  $("failure-advice").textContent = ADVICE[code] ?? "Choose the plan again, or another one.";
  $("failure-id").textContent = error.requestId ? `Code ${code}, request ${error.requestId}` : code === "PAGE" ? "" : `Code ${code}`;
  $("retry").hidden = !WORTH_RETRYING.has(code) || (mine.spent && !mine.file);
  $("retry").onclick = () => go(Object.assign(newWalk(mine.file), leftOf(mine, code)));
  $("failure").focus();
}

/** What a new attempt can keep of the last one: all, unless the job itself has failed or the ticket is no good. */
function leftOf(mine, code) {
  if (mine.spent || code === "UPLOAD_NOT_ALLOWED") return {};
  return { key: mine.key, uploadKey: mine.uploadKey, jobId: mine.jobId };
}

/** What the message itself does not say: the fields that are wrong, and the page. */
function factsOf(details) {
  const facts = Object.entries(details.fields ?? {}).map(([field, words]) => `${field}: ${words}`);
  return details.page ? [...facts, `On page ${details.page}`] : facts;
}

function askForToken(mine) {
  $("token-title").textContent = token ? "The server does not know this token" : "This server asks for a token";
  showOnly("token-form");
  $("token").value = "";
  $("token").focus();
  $("token-form").onsubmit = (event) => {
    event.preventDefault();
    keepToken($("token").value.trim());
    go(mine);
  };
}

// ---- the result ----

let result = null; // {walk, text, plan, pictures: Map of page -> Promise of {blob, url} or null, page, view}

function clearResult() {
  for (const picture of result?.pictures.values() ?? []) picture.then((got) => got && URL.revokeObjectURL(got.url), () => {});
  result = null;
}

function showResult(mine, text) {
  const plan = JSON.parse(text);
  result = { walk: mine, text, plan, pictures: new Map(), page: null, view: null };
  const count = plan.pages.reduce((sum, page) => sum + page.rooms.length, 0);
  const title = count ? `${counted(count, "room")} found` : "No rooms found";
  showOnly("result");
  $("result-title").textContent = title;
  $("result-file").textContent = [mine.name, plan.pages.length > 1 ? counted(plan.pages.length, "page") : ""].filter(Boolean).join(", ");
  document.title = `${title} – Location Detection`;
  makeTabs(plan.pages);
  showPage(plan.pages[0]);
  $("result-title").focus();
}

function makeTabs(pages) {
  $("tabs").hidden = pages.length < 2;
  $("tabs").replaceChildren(
    ...pages.map((page) =>
      element("button", {
        id: `tab-${page.page}`, type: "button", role: "tab", "aria-controls": "sheet",
        text: `Page ${page.page} (${counted(page.rooms.length, "room")})`,
      }),
    ),
  );
  [...$("tabs").children].forEach((tab, index) => (tab.onclick = () => showPage(pages[index])));
  for (const [name, value] of [["role", "tabpanel"], ["aria-labelledby", "tab-1"]]) {
    pages.length < 2 ? $("sheet").removeAttribute(name) : $("sheet").setAttribute(name, value);
  }
}

async function showPage(page) {
  const mine = result;
  mine.page = page;
  for (const tab of $("tabs").children) {
    const selected = tab.id === `tab-${page.page}`;
    tab.setAttribute("aria-selected", selected);
    tab.tabIndex = selected ? 0 : -1;
    if (selected && !$("tabs").hidden) {
      $("sheet").setAttribute("aria-labelledby", tab.id);
      tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }
  $("page-message").hidden = !page.message;
  $("page-message").textContent = page.message ?? "";
  $("list-title").textContent = counted(page.rooms.length, "room");
  $("page-scale").textContent = page.scale
    ? `1 m is ${number.format(1 / page.scale.metres_per_unit)} ${page.unit}, from ${page.scale.from}`
    : "Its scale is not known, so there are no areas.";
  mine.view = new View(page);
  $("plan").setAttribute("aria-busy", "true");
  const picture = await pictureOf(mine, page).catch((error) => (error.status === 401 ? askForToken(mine.walk) : null));
  if (mine !== result || mine.page !== page) return;
  $("plan").setAttribute("aria-busy", "false");
  if (picture) mine.view.image.setAttribute("href", picture.url);
}

/** The picture of a page, asked for once; null if there is none. */
function pictureOf(mine, page) {
  if (!mine.pictures.has(page.page)) {
    const path = `${API}/jobs/${mine.walk.jobId}/pages/${page.page}.png`;
    const asked = request("GET", path, { as: "blob", signal: mine.walk.abort.signal }).then(
      (blob) => ({ blob, url: URL.createObjectURL(blob) }),
      (error) => {
        mine.pictures.delete(page.page);
        if (error.status === 404) return null;
        throw error;
      },
    );
    mine.pictures.set(page.page, asked);
  }
  return mine.pictures.get(page.page);
}

/** One page on the screen: the plan and the list, in which the same room is active. */
class View {
  #hovered = null;
  #focused = null;
  #pinned = null;
  #silenced = null; // the room whose words Escape has closed
  #zoom = 1;

  constructor(page) {
    this.page = page;
    this.rooms = new Map(page.rooms.map((room) => [room.id, room]));
    const drawn = drawPlan(page, { onScreen: true });
    Object.assign(this, { svg: drawn.svg, image: drawn.image, hatch: drawn.hatch });
    this.svg.setAttribute("role", "listbox");
    this.svg.setAttribute("aria-label", "Rooms on the plan; the arrow keys go from room to room");
    this.halo = this.#highlight("halo", "#fff", 7);
    this.ring = this.#highlight("ring", "#16191f", 3);
    this.labels = null;
    this.shapes = new Map(drawn.shapes.map((shape) => [shape.dataset.room, shape]));
    this.items = new Map(page.rooms.map((room) => [room.id, listItem(room)]));
    for (const parts of [this.shapes, this.items]) this.#wire([...parts.values()]);
    $("plan").replaceChildren(this.svg);
    $("rooms").replaceChildren(...this.items.values());
    $("rooms").hidden = page.rooms.length === 0;
    $("rooms").scrollTop = 0;
    this.showLabels($("show-labels").checked);
    this.zoom(1);
    this.#update();
  }

  #highlight(className, stroke, width) {
    const path = svgElement("path", {
      class: className, fill: "none", stroke, "stroke-width": width, "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke",
    });
    this.svg.append(path);
    return path;
  }

  /** Make parts, one a room, behave as one list: one stop of the Tab key, arrows inside. */
  #wire(parts) {
    parts.forEach((part, index) => {
      const id = part.dataset.room;
      part.setAttribute("tabindex", index === 0 ? 0 : -1);
      part.addEventListener("pointerenter", () => this.#set({ hovered: id }));
      part.addEventListener("pointerleave", () => this.#set({ hovered: null }));
      part.addEventListener("focus", () => {
        for (const other of parts) other.setAttribute("tabindex", other === part ? 0 : -1);
        this.#set({ focused: part.matches(":focus-visible") ? id : null });
      });
      part.addEventListener("blur", () => this.#set({ focused: null }));
      part.addEventListener("click", () => this.#pin(id));
      part.addEventListener("keydown", (event) => {
        const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -index, End: parts.length - 1 - index };
        if (event.key in steps) parts[(index + steps[event.key] + parts.length) % parts.length].focus();
        else if (event.key === "Enter" || event.key === " ") this.#pin(id);
        else return;
        event.preventDefault();
      });
    });
  }

  #pin(id) {
    this.#pinned = this.#pinned === id ? null : id;
    this.#silenced = null;
    this.#update();
  }

  #set({ hovered = this.#hovered, focused = this.#focused }) {
    [this.#hovered, this.#focused, this.#silenced] = [hovered, focused, null];
    this.#update();
  }

  /** Close the words at the room, and let go of it. */
  escape() {
    this.#silenced = this.#active();
    this.#pinned = null;
    this.#update();
  }

  #active() {
    return this.#hovered ?? this.#focused ?? this.#pinned;
  }

  #update() {
    const active = this.#active();
    for (const [id, item] of this.items) {
      item.classList.toggle("active", id === active);
      for (const part of [item, this.shapes.get(id)]) part.setAttribute("aria-selected", id === this.#pinned);
    }
    const outline = active ? this.shapes.get(active).getAttribute("d") : "";
    this.halo.setAttribute("d", outline);
    this.ring.setAttribute("d", outline);
    if (active) keepInSight($("rooms"), this.items.get(active));
    this.placeTip();
  }

  placeTip() {
    const active = this.#active();
    $("tip").hidden = !active || active === this.#silenced;
    if ($("tip").hidden) return;
    const room = this.rooms.get(active);
    const facts = [`Confidence ${percent(room.confidence)}, ${levelOf(room).name}`, areaOf(room)].filter(Boolean).join(" · ");
    $("tip").replaceChildren(element("strong", { text: nameOf(room) }), element("span", { text: facts }), flagList(room));
    const frame = $("plan").getBoundingClientRect();
    const shape = this.shapes.get(active).getBoundingClientRect();
    const tip = $("tip").getBoundingClientRect();
    const above = shape.top - 8 - tip.height;
    const below = shape.bottom + 8;
    const isRoomBelow = below + tip.height <= Math.min(frame.bottom, innerHeight);
    const y = above >= Math.max(frame.top, 0) ? above : isRoomBelow ? below : Math.max(frame.top + 8, 8);
    const x = Math.min(Math.max(shape.left + shape.width / 2 - tip.width / 2, frame.left + 4), frame.right - tip.width - 4);
    $("tip").style.transform = `translate(${Math.round(x - frame.left)}px, ${Math.round(y - frame.top)}px)`;
  }

  /** Show the page at this many times the size at which it fits. */
  zoom(times) {
    const plan = $("plan");
    const middle = [(plan.scrollLeft + plan.clientWidth / 2) / plan.scrollWidth, (plan.scrollTop + plan.clientHeight / 2) / plan.scrollHeight];
    this.#zoom = Math.min(Math.max(times, 1), 16);
    const room = [plan.parentElement.clientWidth, Math.max(innerHeight * 0.78, 240)];
    const scale = this.#zoom * Math.min(room[0] / this.page.width, room[1] / this.page.height);
    this.svg.setAttribute("width", Math.floor(this.page.width * scale));
    this.svg.setAttribute("height", Math.floor(this.page.height * scale));
    this.hatch.setAttribute("patternTransform", `rotate(45) scale(${1 / scale})`);
    plan.scrollTo(middle[0] * plan.scrollWidth - plan.clientWidth / 2, middle[1] * plan.scrollHeight - plan.clientHeight / 2);
    $("zoom-out").disabled = $("zoom-fit").disabled = this.#zoom <= 1;
    $("zoom-in").disabled = this.#zoom >= 16;
    this.placeTip();
  }

  zoomBy(factor) {
    this.zoom(this.#zoom * factor);
  }

  fitAgain() {
    this.zoom(this.#zoom);
  }

  showLabels(shown) {
    this.labels?.remove();
    this.labels = shown ? drawLabels(this.page) : null;
    if (this.labels) this.svg.insertBefore(this.labels, this.halo);
  }
}

function listItem(room) {
  const level = levelOf(room);
  const item = element("div", { class: `room-item ${level.className}`, role: "option", "aria-selected": "false" });
  item.dataset.room = room.id;
  const name = element("span", { text: nameOf(room), class: isNamed(room) ? "" : "unnamed" });
  const top = element("div", { class: "room-name" });
  top.append(name, element("span", { class: "share", text: percent(room.confidence) }));
  item.append(top);
  for (const words of [[areaOf(room), level.name].filter(Boolean).join(", "), flagsOf(room).join("; ")].filter(Boolean)) {
    item.append(element("div", { class: "room-why", text: words }));
  }
  return item;
}

function flagList(room) {
  const list = element("ul");
  list.append(...flagsOf(room).map((words) => element("li", { text: words })));
  return list;
}

function keepInSight(list, item) {
  if (list.scrollHeight <= list.clientHeight) return;
  const [outer, inner] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
  if (inner.top < outer.top) list.scrollTop -= outer.top - inner.top + 8;
  if (inner.bottom > outer.bottom) list.scrollTop += inner.bottom - outer.bottom + 8;
}

// ---- the drawing: presentation attributes only, so that it is the same on the screen and in a file ----

function element(tag, { text, ...attributes } = {}) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function svgElement(tag, attributes = {}) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  return made;
}

const pathOf = (room) => [room.polygon, ...room.holes].map((ring) => `M${ring.map((point) => point.join(" ")).join("L")}Z`).join("");

/** The page with its rooms and openings; on the screen pens keep their width however far it is zoomed. */
function drawPlan(page, { onScreen }) {
  const pen = onScreen ? 1 : Math.max(page.width, page.height) / 1200;
  const steady = onScreen ? { "vector-effect": "non-scaling-stroke" } : {};
  const svg = svgElement("svg", { xmlns: SVG, viewBox: `0 0 ${page.width} ${page.height}` });
  const hatch = svgElement("pattern", {
    id: "hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: `rotate(45) scale(${pen})`,
  });
  hatch.append(
    svgElement("rect", { width: 8, height: 8, fill: LEVELS[2].stroke, "fill-opacity": 0.1 }),
    svgElement("path", { d: "M4 0V8", stroke: LEVELS[2].stroke, "stroke-width": 1.6, "stroke-opacity": 0.75 }),
  );
  const defs = svgElement("defs");
  defs.append(hatch);
  const image = svgElement("image", { width: page.width, height: page.height, preserveAspectRatio: "none" });
  const shapes = page.rooms.map((room) => drawRoom(room, pen, steady, onScreen));
  const openings = page.openings.map((opening) =>
    svgElement("path", {
      class: "opening", d: `M${opening.line.map((point) => point.join(" ")).join("L")}`, fill: "none",
      stroke: OPENING_STROKES[opening.kind], "stroke-width": 3 * pen, ...steady,
      "stroke-dasharray": opening.kind === "window" ? [5 * pen, 2 * pen].join(" ") : null,
    }),
  );
  svg.append(defs, image, ...shapes, ...openings);
  return { svg, image, hatch, shapes };
}

function drawRoom(room, pen, steady, onScreen) {
  const level = levelOf(room);
  const shape = svgElement("path", {
    d: pathOf(room), "fill-rule": "evenodd", stroke: level.stroke, "stroke-width": 2 * pen, "stroke-linejoin": "round", ...steady,
    "stroke-dasharray": level.dash && level.dash.map((length) => length * pen).join(" "),
    fill: level === LEVELS[2] ? "url(#hatch)" : level.stroke, "fill-opacity": level === LEVELS[2] ? null : 0.2,
  });
  if (onScreen) {
    for (const [name, value] of [["class", "room"], ["role", "option"], ["aria-label", inWords(room)]]) shape.setAttribute(name, value);
    shape.dataset.room = room.id;
  } else {
    const title = svgElement("title");
    title.textContent = inWords(room);
    shape.append(title);
  }
  return shape;
}

function drawLabels(page) {
  const group = svgElement("g", { class: "label", "font-family": "sans-serif", "text-anchor": "middle", "aria-hidden": "true" });
  for (const room of page.rooms) {
    const { x, y, depth } = deepestPoint(room);
    // A room without a name gets its number in the list alone: its name may be printed right there.
    const lines = isNamed(room)
      ? [nameOf(room).slice(0, 28), percent(room.confidence)]
      : [`${orderOf(room)} · ${percent(room.confidence)}`];
    const widest = Math.max(...lines.map((line) => line.length));
    const size = Math.min((1.9 * depth) / (0.58 * widest), depth * 0.7, Math.max(page.width, page.height) / 64);
    if (size < Math.max(page.width, page.height) / 250) continue; // nobody could read it
    lines.forEach((line, index) => {
      const text = svgElement("text", {
        x, y: y + (index - lines.length / 2 + 0.85) * 1.15 * size, "font-size": size, "font-weight": index ? 400 : 700,
        fill: "#16191f", stroke: "#fff", "stroke-width": size / 5, "stroke-linejoin": "round", "paint-order": "stroke",
      });
      text.textContent = line;
      group.append(text);
    });
  }
  return group;
}

/** The point of a room that is farthest from its walls, to about a hundredth of the room's size. */
function deepestPoint(room) {
  const rings = [room.polygon, ...room.holes];
  const [xs, ys] = [0, 1].map((axis) => room.polygon.map((point) => point[axis]));
  let box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  let best = { x: (box[0] + box[2]) / 2, y: (box[1] + box[3]) / 2, depth: 0 };
  for (let round = 0; round < 3; round++) {
    const steps = [(box[2] - box[0]) / 14, (box[3] - box[1]) / 14];
    for (let i = 1; i < 14; i++) {
      for (let j = 1; j < 14; j++) {
        const [x, y] = [box[0] + i * steps[0], box[1] + j * steps[1]];
        const depth = depthAt(rings, x, y);
        if (depth > best.depth) best = { x, y, depth };
      }
    }
    box = [best.x - steps[0], best.y - steps[1], best.x + steps[0], best.y + steps[1]];
  }
  return best;
}

/** How far the point is from the nearest wall; negative outside. */
function depthAt(rings, x, y) {
  let [nearest, inside] = [Infinity, false];
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [[ax, ay], [bx, by]] = [ring[j], ring[i]];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
      const length2 = (bx - ax) ** 2 + (by - ay) ** 2;
      const along = length2 ? Math.min(Math.max(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0), 1) : 0;
      nearest = Math.min(nearest, (ax + along * (bx - ax) - x) ** 2 + (ay + along * (by - ay) - y) ** 2);
    }
  }
  return (inside ? 1 : -1) * Math.sqrt(nearest);
}

// ---- what is saved ----

function save(blob, ending) {
  const stem = result.walk.name.replace(/\.[^.]*$/, "") || result.walk.jobId;
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: `${stem}${ending}` });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 30000);
}

const pageEnding = (mine) => (mine.plan.pages.length > 1 ? `.page${mine.page.page}` : "");

function overlayText(page, pictureUrl) {
  const { svg, image } = drawPlan(page, { onScreen: false });
  pictureUrl ? image.setAttribute("href", pictureUrl) : image.remove();
  svg.append(drawLabels(page));
  return { svg, text: () => new XMLSerializer().serializeToString(svg) };
}

async function saveSvg() {
  const mine = result;
  const { page } = mine;
  const picture = await pictureOf(mine, page);
  const { svg, text } = overlayText(page, picture && (await dataUrl(picture.blob)));
  svg.setAttribute("width", page.width);
  svg.setAttribute("height", page.height);
  save(new Blob([text()], { type: "image/svg+xml" }), `${pageEnding(mine)}.overlay.svg`);
}

async function savePng() {
  const mine = result;
  const { page } = mine;
  const picture = await pictureOf(mine, page);
  const below = picture && (await createImageBitmap(picture.blob));
  const scale = below ? below.width / page.width : 1600 / Math.max(page.width, page.height);
  const canvas = element("canvas", { width: Math.round(page.width * scale), height: Math.round(page.height * scale) });
  const { svg, text } = overlayText(page, null);
  svg.setAttribute("width", canvas.width);
  svg.setAttribute("height", canvas.height);
  const above = new Image();
  above.src = await dataUrl(new Blob([text()], { type: "image/svg+xml" }));
  await above.decode();
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  for (const layer of [below, above]) if (layer) pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  save(blob, `${pageEnding(mine)}.overlay.png`);
}

function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Run what a button does, once at a time; if it fails, say so where the page speaks of itself. */
function whileDisabled(button, action) {
  return async () => {
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      if (error.name === "AbortError") return;
      $("page-message").hidden = false;
      $("page-message").textContent = `The file could not be made: ${error.message}`;
    } finally {
      button.disabled = false;
    }
  };
}

// ---- wiring ----

function take(files) {
  const file = files?.[0];
  if (!file || !$("work").hidden) return;
  $("notice").textContent = "";
  go(newWalk(file));
}

function openFromAddress() {
  const jobId = location.hash.slice(1);
  if (/^job_\d{8}_[a-z2-7]{16}$/.test(jobId) && jobId !== walk?.jobId) go(newWalk(null, jobId));
}

$("file").addEventListener("change", (event) => take(event.target.files));
$("cancel").addEventListener("click", cancel);
$("dismiss").addEventListener("click", () => startOver());
$("another").addEventListener("click", () => startOver());
$("token-cancel").addEventListener("click", () => startOver());
$("save-json").addEventListener("click", () => save(new Blob([result.text], { type: "application/json" }), ".json"));
$("save-svg").addEventListener("click", whileDisabled($("save-svg"), saveSvg));
$("save-png").addEventListener("click", whileDisabled($("save-png"), savePng));
$("zoom-in").addEventListener("click", () => result.view.zoomBy(1.5));
$("zoom-out").addEventListener("click", () => result.view.zoomBy(1 / 1.5));
$("zoom-fit").addEventListener("click", () => result.view.zoom(1));
$("show-labels").addEventListener("change", (event) => result.view.showLabels(event.target.checked));
$("plan").addEventListener("scroll", () => result?.view.placeTip(), { passive: true });
new ResizeObserver(() => result?.view?.fitAgain()).observe($("plan").parentElement);

$("tabs").addEventListener("keydown", (event) => {
  const tabs = [...$("tabs").children];
  const at = tabs.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
});

addEventListener("keydown", (event) => event.key === "Escape" && result?.view?.escape());
addEventListener("hashchange", openFromAddress);
addEventListener("paste", (event) => event.clipboardData?.files.length && take(event.clipboardData.files));

let depth = 0; // dragenter and dragleave come for every element that is crossed
const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
const dragged = (by) => {
  depth = by === 0 ? 0 : depth + by;
  document.body.classList.toggle("dragging", depth > 0 && $("work").hidden);
};
addEventListener("dragenter", (event) => holdsFile(event) && dragged(1));
addEventListener("dragleave", (event) => holdsFile(event) && dragged(-1));
addEventListener("dragover", (event) => holdsFile(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  dragged(0);
  take(event.dataTransfer.files);
});

openFromAddress();
