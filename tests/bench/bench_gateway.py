"""CPU per request of the whole gateway with everything on, beside nginx in the same run.

    SLUICE_BENCH=DIR python tests/bench/bench_gateway.py [--phases sat,burst] [--rounds 3] [--secs 3]

SLUICE_BENCH is the folder of the bench that comes with the project's design notes (`bench.py`, a canned backend and a load client in
C). Needs nginx and a C compiler; skips with one line where one of them is missing. Gateway and nginx run pinned to core 0, load
and backend on core 1. Compare the ratio, not the microseconds, and only while the wait share is low: machines are noisy.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BACKEND, GATEWAY, ADMIN, NGINX = 9000, 18480, 18481, 18490
CONFIG = """
auth: none
server: {{listen: "127.0.0.1:{gateway}"}}
admin: {{listen: "127.0.0.1:{admin}"}}
store: {{url: embedded, directory: "{state}"}}
models:
  - name: strong
    tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}
    context_tokens: 128000
    backends: [{{url: "http://127.0.0.1:{backend}/v1", model: m, engine: openai, name: a}}]
  - name: weak
    tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}
    context_tokens: 32000
    backends: [{{url: "http://127.0.0.1:{backend}/v1", model: m, engine: openai, name: b}}]
routes: [{{name: auto, models: [strong, weak], router: {{artifact: builtin, fallback_strong_share: 0.35}}}}]
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.999, window: 28d}}
  - {{name: first-token, sli: {{kind: ttft, at_most: 1s}}, objective: 0.95, window: 28d}}
  - {{name: spend, sli: {{kind: cost, usd: 5000}}, period: calendar-month}}
pricing: {{law: shadow_price}}
classes: [{{name: standard, value: 3, ttft_deadline: 30s}}]
decision_log: {{path: "{state}/decisions.jsonl"}}
"""
NGINX_CONF = """
worker_processes 1; daemon off; pid {state}/nginx.pid; error_log {state}/nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;
  upstream canned {{ server 127.0.0.1:{backend}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{nginx} reuseport; keepalive_requests 1000000; client_body_buffer_size 64k;
    location / {{ proxy_pass http://canned; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


def main() -> int:
    """Run the bench against nginx and the gateway and print both with their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phases", default="sat,burst")
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--secs", default="3")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Else what was started would outlive us.
    folder, nginx = os.environ.get("SLUICE_BENCH"), shutil.which("nginx")
    missing = [what for what, there in (("SLUICE_BENCH", folder), ("nginx", nginx), ("a C compiler", shutil.which("cc"))) if not there]
    if missing or folder is None:
        print(f"skipped: needs {', '.join(missing)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as state:
        shutil.copytree(folder, f"{state}/bench")  # It builds its helpers beside itself.
        names = {"gateway": GATEWAY, "admin": ADMIN, "nginx": NGINX, "backend": BACKEND, "state": state}
        Path(state, "gateway.yaml").write_text(CONFIG.format(**names))
        Path(state, "nginx.conf").write_text(NGINX_CONF.format(**names))
        pinned = ["taskset", "-c", "0"]
        gateway = subprocess.Popen(
            [*pinned, sys.executable, "-m", "gateway", "serve", "--config", f"{state}/gateway.yaml"], start_new_session=True
        )
        proxy = subprocess.Popen([*pinned, str(nginx), "-c", f"{state}/nginx.conf"], start_new_session=True)
        try:
            time.sleep(4)
            run = [sys.executable, f"{state}/bench/bench.py", "--phases", args.phases, "--rounds", args.rounds, "--secs", args.secs]
            for label, port, process, model in (("nginx", NGINX, proxy, "m"), ("sluice", GATEWAY, gateway, "auto")):
                url = f"http://127.0.0.1:{port}/v1/chat/completions"
                to = ["--url", url, "--pids", str(process.pid), "--label", label, "--model", model, "--save", f"{state}/{label}.json"]
                subprocess.run([*run, *to], check=True, stdout=subprocess.DEVNULL)
            show = [sys.executable, f"{state}/bench/bench.py", "--show", f"{state}/nginx.json", f"{state}/sluice.json", "--base", "nginx"]
            subprocess.run(show, check=True)
        finally:
            for process in (gateway, proxy):
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
