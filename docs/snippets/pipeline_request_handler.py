import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

import fastgrad as fg

fg.set_num_threads(1)  # requests come side by side


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            z = fg.sample(np.array(asked["logits"], float), num_samples=3, rng=asked["seed"])
            status, answer = 200, {"samples": z.tolist()}
        except ValueError as error:  # bad input is refused before any work, in one sentence
            status, answer = 400, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    fg.sample(np.zeros((1, 2)), rng=0)  # compiles, before the first request
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    data = json.dumps({"logits": [[0.0, 1.0], [3.0, -3.0]], "seed": 1}).encode()
    url = f"http://127.0.0.1:{server.server_port}"
    answer = json.loads(urllib.request.urlopen(urllib.request.Request(url, data)).read())
    assert np.shape(answer["samples"]) == (3, 2)
    print("answered")
    server.shutdown()
    server.server_close()
