// What a page is asked for stands in its address, behind the #, which no server and no proxy is sent:
// so Back, a reload, a second tab and a restarted server bring it back. What is too long for an
// address, and a picture of one's own, is kept in the tab.
window.qdemo = (() => {
  const LONGEST = 2000;  // characters of an address
  const LARGEST = 1_500_000;  // characters of a picture that is kept as it is
  const SIDE = 1024;  // pixels of a larger one that is kept smaller
  const find = selector => document.querySelector(selector);
  let fields = [];  // what an address of this page has, as links of before have it behind a ?
  let kinds = [];  // what models may be asked, each with its kind, in the order of the controls
  let asks = {};  // which of them each model asks for

  // --- the address

  function read() {
    const query = new URLSearchParams(location.search);
    let text = location.hash.slice(1);
    if (!text && fields.some(field => query.has(field))) {
      text = new URLSearchParams([...query].filter(([name]) => fields.includes(name))).toString();
    }
    const name = new URLSearchParams(text).get("tab");
    return name === null ? text : recall(name) ?? "";
  }

  function write(text, newEntry = false) {
    clearTimeout(writing);
    later = null;
    const query = new URLSearchParams(location.search);
    fields.forEach(field => query.delete(field));
    if (text.length > LONGEST) {
      const name = new URLSearchParams(location.hash.slice(1)).get("tab");
      text = `tab=${keep(text, newEntry || !name ? random() : name)}`;
    }
    const url = location.pathname + (query.size ? `?${query}` : "") + (text ? `#${text}` : "");
    keep(text, `page ${location.pathname}`);
    if (url === location.pathname + location.search + location.hash) return;
    written.push(Date.now());
    history[newEntry ? "pushState" : "replaceState"](null, "", url);
    tell();
  }

  // While somebody types: at once, and then by and by, for a browser takes a hundred addresses in
  // half a minute, and no more.
  let writing, written = [], later = null;
  function writeSoon(text) {
    written = written.filter(time => Date.now() - time < 30_000);
    if (written.length < 30) return write(text);
    clearTimeout(writing);
    later = text;
    writing = setTimeout(() => write(text), 500);
  }
  window.addEventListener("pagehide", () => later !== null && write(later));

  // A Space is shown in a frame: the page around it takes over the address.
  function tell() {
    if (window.parent === window || !location.hostname.endsWith(".hf.space")) return;
    const [queryString, hash] = [location.search.slice(1), location.hash];
    window.parent.postMessage({queryString, hash}, "https://huggingface.co");
  }

  // Python's way of writing them, so that an address is the same whoever has written it.
  function encode(pairs) {
    const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
    const plain = {"%3A": ":", "%2C": ",", "%40": "@", "%7E": "~", "%3D": "=", "*": "%2A"};
    return text.replace(/%3A|%2C|%40|%7E|%3D|\*/g, sign => plain[sign]);
  }

  // --- what is kept in the tab

  // A name that says when it was given. (Without TLS a browser has no randomUUID.)
  const random = () =>
    `${Date.now()}-${Array.from(crypto.getRandomValues(new Uint8Array(8)), n => n.toString(36)).join("")}`;
  const begun = name => Number(name.match(/\d+/)[0]);

  // In a frame of another site a browser may forbid it; then nothing outlives the page.
  const storage = (() => { try { return sessionStorage; } catch { return memory(); } })();

  function memory() {
    const held = new Map();
    return {getItem: name => held.get(name) ?? null, setItem: (name, value) => held.set(name, value)};
  }

  function keep(value, name) {
    for (;;) {
      try {
        storage.setItem(`qdemo ${name}`, value);
        return name;
      } catch {  // it is full: what was kept first goes first
        const kept = Object.keys(storage).filter(key => /^qdemo (upload:)?\d/.test(key));
        const [oldest] = kept.sort((a, b) => begun(a) - begun(b));
        if (!oldest || oldest === `qdemo ${name}`) return name;
        storage.removeItem(oldest);
      }
    }
  }

  const recall = name => storage.getItem(`qdemo ${name}`);

  const dataUrl = blob => new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = failed;
    reader.readAsDataURL(blob);
  });

  async function smaller(blob) {
    const picture = await createImageBitmap(blob);
    const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
    const canvas = new OffscreenCanvas(
      Math.max(1, picture.width * scale), Math.max(1, picture.height * scale));
    const paint = canvas.getContext("2d");
    paint.fillStyle = "white";  // as the server has what is transparent
    paint.fillRect(0, 0, canvas.width, canvas.height);
    paint.drawImage(picture, 0, 0, canvas.width, canvas.height);
    return canvas.convertToBlob({type: "image/jpeg", quality: 0.95});
  }

  // An SVG comes as data, which a page may not fetch; the server refuses it and says why.
  const isDrawing = file => file.url.startsWith("data:");

  // A picture that was just uploaded: its name, under which the tab has it. Who presses Compare at
  // once, before the page has the name, means this picture too.
  let picking = null;
  function picked(file) {
    const mine = picking = named(file);
    mine.then(() => setTimeout(() => { if (picking === mine) picking = null; }, 500));
    return mine;
  }

  async function named(file) {
    if (!file) return [""];
    const name = `upload:${random()}`;
    if (isDrawing(file)) return [name];
    try {
      const blob = await (await fetch(file.url)).blob();
      const whole = await dataUrl(blob);
      keep(whole.length < LARGEST ? whole : `smaller ${await dataUrl(await smaller(blob))}`, name);
    } catch {}  // it can't be looked at here, or not be kept: it is compared all the same
    return [name];
  }

  // Bring a picture that the tab has kept to the server again; where it lies there.
  async function brought(name) {
    const [what, data] = (recall(name) ?? "").match(/^(?:(smaller) )?(data:.*)$/)?.slice(1) ?? [];
    if (!data) return "";
    const [, type, text] = data.match(/^data:([^;,]*);base64,(.*)$/);  // no fetch: the policy forbids it
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    const form = new FormData();
    form.append("files", new Blob([bytes], {type}), `${what ?? "picture"}.${type.split("/")[1] || "png"}`);
    const {root, api_prefix} = window.gradio_config;
    try {
      const answer = await fetch(`${root}${api_prefix}/upload`, {method: "POST", body: form});
      return answer.ok ? (await answer.json())[0] : "";
    } catch {
      return "";
    }
  }

  async function broughtBy(text) {
    const name = new URLSearchParams(text).get("input") ?? "";
    return name.startsWith("upload:") ? brought(name) : "";
  }

  // --- the Compare page

  function parse(held) {
    try { return JSON.parse(held); } catch { return {number: "", address: "", model: "", input: ""}; }
  }

  // Where among the controls' values those of one that a model asks for stand: a text is a value, a
  // picture is two, itself and its name.
  const width = kind => kind === "picture" ? 2 : 1;
  function placeOf(name) {
    let at = 0;
    for (const [each, kind] of kinds) {
      if (each === name) return {at, kind};
      at += width(kind);
    }
  }

  // Of a model that was typed it is known by what is on the page.
  function shownInput() {
    const [shown] = kinds.find(([name]) => find(`#${name}`)?.checkVisibility()) ?? kinds[0];
    return shown;
  }

  // The controls' values, in their order: those that every model has, and those of inputs.
  const CHOSEN = 7;
  function addressOf(values) {
    const [model, formats, tokens, , readAs, temperature, seed] = values, inputs = values.slice(CHOSEN);
    const {at, kind} = placeOf(asks[model] ?? shownInput());
    const input = inputs[at + width(kind) - 1];
    const pairs = [["model", model], ["formats", formats.join(",")], ["input", input]];
    if (tokens !== 64) pairs.push(["max_tokens", tokens]);
    const how = [];
    if (readAs !== "chat") how.push(["read_as", readAs]);
    if (Number(temperature) !== 0 && readAs !== "score") how.push(["temperature", temperature], ["seed", seed]);
    return {model, input, how: encode(how), text: encode([...pairs, ...how])};
  }

  // How what is held was asked, as an address has it.
  function howOf({address}) {
    const asked = [...new URLSearchParams(address)];
    return encode(asked.filter(([name]) => ["read_as", "temperature", "seed"].includes(name)));
  }

  // What an address says of what is shown, where that is another question's; of the example nothing.
  const besides = held =>
    held.number === "example" ? "" : `&${encode([["shown", held.address]])}`;

  // Something was changed, or something else is shown.
  function moved(...values) {
    const held = parse(values.pop()), asked = addressOf(values);
    const same = held.model === asked.model && held.input === asked.input && howOf(held) === asked.how;
    document.body.classList.toggle("stale", !same);
    if (led !== taken || coming !== null) return;  // the address is already that of what comes
    const begun = held.number === "example";
    if (`${asked.text}&run=1` === held.address) writeSoon(begun ? "" : held.address);
    else writeSoon(asked.text + besides(held));
  }

  // What was there leaves its place to what comes, so that what stands below stays where it is.
  function hold() {
    for (const name of ["verdict", "cards"]) {
      document.body.style.setProperty(`--${name}-before`, `${find(`#${name}`)?.offsetHeight ?? 0}px`);
    }
  }

  function fold(accordion) {
    const inside = find(`${accordion} > [data-testid="accordion-content"]`);
    if (inside?.checkVisibility()) find(`${accordion} > button`)?.click();
  }

  // Compare was pressed: a new entry of the history, where it is another question.
  async function compare(...values) {
    qdemoLater.now();
    const wasRunning = isRunning;
    isRunning = true;
    fold("#another");  // or it lies over how far a download is
    hold();
    const held = parse(values.pop());
    values.pop();  // the address, which is told below
    const [chosen, inputs] = [values.slice(0, CHOSEN), values.slice(CHOSEN)];
    const pictures = kinds.filter(([, kind]) => kind === "picture").map(([name]) => placeOf(name).at);
    for (const at of pictures) {
      if (inputs[at] && picking) [inputs[at + 1]] = await picking;
    }
    const asked = addressOf([...chosen, ...inputs]);
    const address = `${asked.text}&run=1`;
    if (wasRunning && address === pressed) {
      left += 1;
      return [...chosen, ...inputs, "", ""];
    }
    pressed = address;
    // Until it is answered, or refused, what is shown is another's: a reload has to bring that back.
    if (coming !== null) {
      write(address);
    } else if (location.hash.slice(1) !== address) {
      write(held.number === "example" ? "" : held.address);
      write(address + besides(held), true);
    }
    for (const at of pictures) {  // what was made here goes by its name
      const [picture, source] = inputs.slice(at, at + 2);
      inputs[at] = picture && source.startsWith("upload:") ? await present(picture, source) : null;
    }
    return [...chosen, ...inputs, address, ""];
  }

  // The second click of a double one asks for nothing new, and is left out. (gradio could leave out
  // every click until an event has come to its end: after a refusal that is later than one sees.)
  let pressed = "", left = 0;

  // The server deletes uploads after a while, and when it is restarted.
  async function present(picture, source) {
    if (isDrawing(picture)) return picture;
    const there = await fetch(picture.url, {method: "HEAD"}).then(answer => answer.ok, () => false);
    const path = there ? picture.path : await brought(source);
    return {...picture, path: path || picture.path};
  }

  // What is shown, or what the address says was shown, once more.
  async function again(text) {
    isRunning = true;
    hold();
    const address = new URLSearchParams(coming ?? "").get("shown");
    const held = address ? asHeld(address) : text;
    return [held, await broughtBy(parse(held).address)];
  }

  function asHeld(address) {
    const asked = new URLSearchParams(address);
    const [model, input] = [asked.get("model") ?? "", asked.get("input") ?? ""];
    return JSON.stringify({number: "", address, model, input});
  }

  // Whether a comparison is under way, from the click to the last word.
  let isRunning = false;

  // The address that the page was opened with, or led to, until what it asks for is there.
  let coming = null;

  function through(...now) {
    if (left) left -= 1;  // that of a click which asked for nothing
    else over(...now);
  }

  // Where a question was refused, or stopped before it began, what is shown is still another's.
  function over(...now) {
    isRunning = false;
    coming = null;
    keepTold(parse(now.at(-1)));
    moved(...now);
    const last = awaited ?? revealed;
    if (cardOf(last) && (awaited || document.activeElement === cardOf(last))) setTimeout(reveal, 100, last, "auto");
    awaited = revealed = null;
  }

  function throughAgain(next, ...now) {
    over(...now);
    return press(next);
  }

  // --- formats of one's own, and those that are ticked

  // A click on a part is one on what is typed by then; what is typed later stands.
  for (const kind of ["pointerdown", "keydown", "change"]) {
    document.addEventListener(kind, event => {
      if (!event.target.closest("#own-family, #own-parts, #own-ticks")) return;
      put("own-base", find("#own-text :is(textarea, input)").value);
    }, true);
  }

  // One too many is not ticked, and it is said why; what was wrong before is right by now.
  const atMost = (most, why) => formats =>
    formats.length > most ? [formats.slice(0, most), why] : [undefined, ""];

  // One of one's own is ticked beside those that are by now, whatever was ticked when it was added;
  // or it is said what is wrong with it, or that it would be one too many.
  const added = (usual, most, why) => (answer, formats) => {
    const {text, problem} = JSON.parse(answer);
    if (!text) return [undefined, problem, ""];
    const wanted = [...new Set([...formats, text])];
    if (wanted.length > most) return [undefined, "", why];
    const choices = [...new Set([...usual, ...wanted])].map(name => [name, name]);
    return [{__type__: "update", choices, value: wanted}, "", ""];
  };

  // --- layer surgery

  let awaited = null;  // the format whose card is looked at once it is there
  let revealed = null;  // and again at the end, as what stands above it has changed by then
  let operations = 0;

  const cardOf = format => [...document.querySelectorAll("#cards .card")].find(card => card.dataset.format === format);

  // One format more of what is on screen: it is asked for as a link asks for it.
  function operated(answer) {
    if (!answer) return;
    const {address, format, problem} = JSON.parse(answer);
    if (problem) return void document.dispatchEvent(new CustomEvent("refused", {detail: problem}));
    if (cardOf(format)) return reveal(format);
    awaited = format;
    write(address, true);
    led++;
    follow();
    lookFor(format);
  }

  // It is there before charts are.
  function lookFor(format) {
    if (cardOf(format)?.matches(".done, .failed")) return reveal(revealed = format);
    if (awaited === format) setTimeout(lookFor, 50, format);
  }

  function reveal(format, behavior = calm() ? "auto" : "smooth") {
    const card = cardOf(format);
    if (!card) return;
    awaited = null;
    window.qdemo.cards.bring(format);
    card.tabIndex = -1;
    card.focus({preventScroll: true});  // so that it is read out
    card.scrollIntoView({block: "center", behavior});
  }

  document.addEventListener("click", event => {
    const button = event.target.closest("button.repair");
    if (button) put("repair", JSON.stringify({format: button.dataset.format, turn: ++operations}));
  });

  async function repairing(held, upload, asked) {
    isRunning = true;
    return [held, await broughtBy(parse(held).address), asked];
  }

  function repaired(answer) {
    isRunning = false;
    operated(answer);
  }

  // What was said of a repair stands as long as its question does.
  function keepTold({model, input}) {
    const told = find("#repair-told .repaired");
    if (told) told.hidden = told.dataset.asked !== `${model} ${input}` || !cardOf(told.dataset.format);
  }

  // --- Back and Forward

  let led = 0, taken = 0;  // how often they have led somewhere, and up to which the page has followed

  // What was under way belongs to what is left: it is stopped first.
  function follow(patience = 100) {
    if (led === taken) return;
    if (!isRunning || !patience) return find("#restore")?.click();
    find("#stop")?.click();
    setTimeout(follow, 100, patience - 1);
  }

  window.addEventListener("popstate", () => {
    if (!find("#restore")) return location.reload();
    led++;
    follow();
  });

  // The controls have what the address asks for: it is asked, unless it is another by now.
  function restored(selector, ...now) {
    const isCurrent = led === taken;
    if (isCurrent && selector) [isRunning, pressed] = [true, ""];
    else over(...now);
    if (!isCurrent) follow();
    return press(isCurrent && selector);
  }

  // What the page is opened with, or what Back has led to.
  async function opened() {
    taken = led;
    const text = read(), asked = new URLSearchParams(text), shown = asked.get("shown");
    coming = shown || asked.get("run") === "1" ? text : null;
    return [text, await broughtBy(text) || (shown ? await broughtBy(shown) : "")];
  }

  // Give a component that nobody sees a value. What is chosen faster than it is answered can't go
  // with the event: gradio, once it has answered, sends the first event again, and not the last.
  function put(name, value) {
    const box = find(`#${name} :is(textarea, input)`);
    box.value = value;
    box.dispatchEvent(new Event("input", {bubbles: true}));
  }

  const press = selector => {
    if (selector) find(selector)?.click();
    return [""];
  };

  // --- the other pages: what differs from what they begin with

  function state(usual) {
    return (...values) => {
      const pairs = Object.keys(usual).map((name, i) => [name, values[i]]);
      const asked = pairs.filter(([name, value]) => String(value) !== String(usual[name]));
      write(encode(asked.map(([name, value]) => [name, String(value).replaceAll("\n", ";")])));
      const link = find("#again");
      if (link) link.href = location.pathname.split("/").at(-1) + location.hash;
    };
  }

  const page = (names, inputs = [], models = {}) => {
    [fields, kinds, asks] = [names, inputs, models];
  };

  // Whether a person asked for less motion.
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- for every page

  // A button says for two seconds whether the text was copied.
  async function copy(selector, text, done, failed) {
    const button = find(selector), label = [...button.childNodes].find(one => one.data?.trim());
    const isThere = Boolean(text && navigator.clipboard);
    const copied = isThere && await navigator.clipboard.writeText(text).then(() => true, () => false);
    const usual = button.dataset.usual ??= label.data;
    label.data = copied ? done : failed;
    clearTimeout(copy.later);
    copy.later = setTimeout(() => { label.data = usual; }, 2000);
  }

  // What an answer changes; nothing, where what it was asked of is something else by now.
  function untouched(answer, ...now) {
    const {asked, changes} = JSON.parse(answer);
    return JSON.stringify(asked) === JSON.stringify(now) ? changes : [];
  }

  document.addEventListener("keydown", event => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || find("dialog[open]")) return;
    find("#compare")?.click();
  });

  // What opens over what is below closes the other that does.
  document.addEventListener("click", event => {
    const over = ["#more", "#another"], opened = over.find(one => event.target.closest(`${one} > button`));
    if (opened && event.isTrusted) over.filter(one => one !== opened).forEach(fold);
  }, true);

  document.addEventListener("click", event => {
    if (event.target.closest(".recompute")) find("#recompute")?.click();
    // The other pages are left for a while, and come back as they were.
    const link = event.target.closest("nav.pages a, nav.next a");
    if (!link || link.hash || link.origin !== location.origin) return;
    const text = recall(`page ${link.pathname}`);
    if (text) link.hash = text;
  }, true);

  // What is wrong with a control is no longer said once somebody has changed it, until it is asked
  // again: the line has what is said in either case, so that it can be said twice.
  document.addEventListener("input", event => {
    const control = event.target.closest("#prompt, #max_tokens, #picture, #temperature, #seed, #read_as, #another-text");
    if (control) find(`#problem-${control.id.split("-")[0]}`)?.classList.add("put-right");
  }, true);
  document.addEventListener("click", event => {
    if (!event.target.closest("#compare, #another button")) return;
    for (const line of document.querySelectorAll(".put-right")) line.classList.remove("put-right");
  }, true);

  new MutationObserver(() => {
    const busy = Boolean(find("#status .busy"));  // what is old can't be taken for the new
    for (const part of document.querySelectorAll("#charts, #take-away")) part.inert = busy;
  }).observe(document.documentElement, {childList: true, subtree: true, attributeFilter: ["class"]});

  return {
    added, again, atMost, brought, calm, compare, copy, encode, keep, moved, opened, operated, page, picked,
    press, put, read, recall, repaired, repairing, restored, state, through, throughAgain, untouched,
    write,
  };
})();
