// Fetches what stands in the page anew. It has no sign that HTML would escape.
(function () {
  "use strict";
  var status = document.getElementById("status");
  var note = document.getElementById("note");
  function read(reply) {
    if (!reply.ok) {
      throw new Error(reply.status);
    }
    return reply.text();
  }
  function show(text) {
    status.innerHTML = text;
    note.textContent = "";
    document.body.classList.remove("stale");
  }
  function fail() {
    note.textContent = "regbroker does not answer. This is what it said last.";
    document.body.classList.add("stale");
  }
  function again() {
    window.setTimeout(ask, document.hidden ? 15000 : 2000);
  }
  function ask() {
    fetch("status", {cache: "no-store"}).then(read).then(show).catch(fail).then(again);
  }
  again();
})();
