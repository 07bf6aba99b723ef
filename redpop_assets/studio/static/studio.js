// What the pages do by themselves: pictures that are dropped, pasted or chosen, the visitor's clock, and charts.
// Everything that is said of a draft comes from the studio; here nothing is computed.

import { drawCharts } from "/static/charts.js";

const one = (selector) => document.querySelector(selector);
const form = one("#draft");

if (form) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  one("#zone").value = zone;
  const sayZone = () => {
    one("#zone-said").textContent = one("#at").value ? zone : "now";
  };
  one("#at").addEventListener("input", sayZone);
  sayZone();
  preparePictures();
  prepareCommunities();
  document.body.addEventListener("answered", () => {
    one("#closer").hidden = false;
  });
  document.body.addEventListener("click", (event) => {
    const hour = event.target.closest("[data-at]");
    if (!hour) return;
    one("#at").value = hour.dataset.at;
    sayZone();
    redraw();
  });
  // Before this event htmx does not listen yet: what was typed until then is asked now.
  document.addEventListener("DOMContentLoaded", () => {
    if (one("#titles").value.trim()) redraw();
  });
}

document.body.addEventListener("htmx:afterSwap", (event) => drawCharts(event.target));
drawCharts(document);

// What an empty answer says must not stay when a request could not be sent at all.
document.body.addEventListener("htmx:sendError", () => {
  const said = one("#said");
  if (said) said.textContent = "The studio does not answer: is it still running?";
});

// A whole page instead of a part of one is not by the studio, but by what stands in front of it: its words do not help.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status < 400 || !isPage(xhr.responseText)) return;
  const problem = document.createElement("p");
  problem.className = "card problem";
  problem.textContent = otherwise(xhr.status);
  event.detail.serverResponse = problem.outerHTML;
});

function isPage(text) {
  return /^\s*<(!doctype|html)/i.test(text);
}

function otherwise(status) {
  return status === 413
    ? "This is larger than the server in front of the studio takes."
    : `The server in front of the studio answers instead of it (${status}): try again in a moment.`;
}

function redraw() {
  form.dispatchEvent(new CustomEvent("redraw", { bubbles: true }));
}

function prepareCommunities() {
  const filter = one("#filter");
  if (!filter) return;
  filter.addEventListener("input", (event) => {
    event.stopPropagation();
    const wanted = filter.value.trim().toLowerCase().replace(/^r\//, "");
    for (const chip of document.querySelectorAll("#communities .chip")) {
      const box = chip.querySelector("input");
      chip.hidden = !(box.checked || box.value.includes(wanted));
    }
  });
  filter.addEventListener("change", (event) => event.stopPropagation());
}

function preparePictures() {
  const [drop, file, said, away, preview, field] = ["#drop", "#file", "#picture-said", "#picture-away", "#preview", "#picture"].map(one);
  let number = 0; // of the picture that was brought last: answers about earlier ones are dropped

  const show = (picture) => {
    if (preview.src) URL.revokeObjectURL(preview.src);
    preview.hidden = away.hidden = !picture;
    drop.classList.toggle("full", Boolean(picture));
    if (picture) preview.src = URL.createObjectURL(picture);
    else preview.removeAttribute("src");
  };

  const bring = async (picture) => {
    if (!picture) return;
    const mine = ++number;
    field.value = "";
    if (picture.size > Number(file.dataset.most)) {
      show(null);
      said.textContent = `The picture has more than ${Math.round(file.dataset.most / 1e6)} MB: save it smaller.`;
      redraw();
      return;
    }
    show(picture);
    said.textContent = "Looking at the picture …";
    let answer, body;
    try {
      answer = await fetch("/api/v1/pictures", { method: "POST", body: picture, headers: { "content-type": picture.type || "application/octet-stream" } });
      const text = await answer.text();
      body = isPage(text) ? { error: otherwise(answer.status) } : JSON.parse(text);
    } catch {
      body = { error: "The picture could not be sent: is the studio still running?" };
    }
    if (mine !== number) return;
    if (answer?.ok) {
      field.value = body.picture;
      said.textContent = `${body.width} × ${body.height} pixels`;
      preview.alt = picture.name ? `Your picture, ${picture.name}` : "Your picture";
    } else {
      show(null);
      said.textContent = body.error;
    }
    redraw();
  };

  file.addEventListener("change", (event) => {
    event.stopPropagation();
    bring(file.files[0]);
    file.value = "";
  });
  file.addEventListener("input", (event) => event.stopPropagation());
  away.addEventListener("click", () => {
    number++;
    if (field.value) fetch(`/api/v1/pictures/${field.value}`, { method: "DELETE" }).catch(() => {});
    field.value = "";
    show(null);
    said.textContent = "The picture was removed.";
    file.focus();
    redraw();
  });
  document.addEventListener("paste", (event) => {
    const pasted = [...event.clipboardData.files].find((entry) => entry.type.startsWith("image/"));
    if (!pasted) return;
    event.preventDefault();
    bring(pasted);
  });
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    drop.classList.remove("over");
    bring(event.dataTransfer.files[0]);
  });
}
