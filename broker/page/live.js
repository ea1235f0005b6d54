/* What the broker tells, for as long as the page is open: a stream of events that is asked for again whenever it
 * ends. A page that nobody sees asks now and then instead: a browser has six connections to one address, and
 * the streams of six pages would be all of them. A page that gets no stream (the broker has so many listeners and
 * no more) asks too: the broker is silent only where it answers nothing. */

const AGAIN_MS = 1000, SILENT_MS = 5000, LOOK_MS = 500, UNSEEN_MS = 10000;

/* The text of the status; null: the broker does not answer, or does not tell it. */
async function fetchStatus() {
  try {
    const answer = await fetch("api/status", { signal: AbortSignal.timeout(SILENT_MS) });
    return answer.ok ? await answer.text() : null;
  } catch (error) {
    return null;
  }
}

export class Live {
  /* wires: {status(document), silent(), back()} */
  constructor(wires) {
    Object.assign(this, { wires, heard_ms: performance.now(), asked_ms: 0, is_asking: false, is_silent: false });
    document.addEventListener("visibilitychange", () => this.#turn());
    setInterval(() => this.#look(), LOOK_MS);
    this.#turn();
  }

  #turn() {
    if (this.source) this.source.close();
    this.source = null;
    this.heard_ms = performance.now();
    if (!document.hidden) this.#open();
  }

  #open() {
    this.opened_ms = this.streamed_ms = performance.now();
    this.source = new EventSource("api/events");
    this.source.addEventListener("status", (event) => this.#stream(event.data));
    this.source.onerror = () => this.#ask();
  }

  #stream(data) {
    this.streamed_ms = performance.now();
    this.#take(data);
  }

  #take(data) {
    let status;
    try {
      status = JSON.parse(data);
    } catch (error) {
      return; /* cut off half-way: the next one comes in a second */
    }
    this.heard_ms = performance.now();
    if (this.is_silent) this.wires.back();
    this.is_silent = false;
    this.wires.status(status);
  }

  #lost() {
    if (!this.is_silent) this.wires.silent();
    this.is_silent = true;
  }

  async #ask() {
    if (this.is_asking) return;
    const asked_ms = this.asked_ms = performance.now();
    this.is_asking = true;
    const told = await fetchStatus();
    this.is_asking = false;
    if (this.heard_ms > asked_ms) return; /* the stream was faster */
    if (told === null) this.#lost();
    else this.#take(told);
  }

  /* A browser gives up where the answer is no stream, and a connection may be dead without an end. */
  #look() {
    const now = performance.now();
    if (!this.source) {
      if (now - this.asked_ms > UNSEEN_MS) this.#ask();
      return;
    }
    if (now - this.heard_ms > SILENT_MS) this.#ask();
    const is_over = this.source.readyState === EventSource.CLOSED && now - this.opened_ms > AGAIN_MS;
    if (!is_over && now - this.streamed_ms <= SILENT_MS) return;
    this.source.close();
    this.#open();
  }
}
