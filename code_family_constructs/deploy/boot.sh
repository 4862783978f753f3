#!/bin/bash
# First boot of an instance in the fleet: answer the load balancer, then install the CodeDeploy agent.
set -uo pipefail

# Until the first release there is nothing to serve: without an answer the Auto Scaling group would replace its instances
# for ever, and the alarm on unhealthy hosts would stop the very release that cures it. The placeholder gives up the port
# as soon as the agent has downloaded a revision; on instances that start later this is before they get traffic.
cat > /usr/local/bin/first-release-placeholder <<'PY'
import glob, http.server

class Placeholder(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><title>Waiting</title><p>Waiting for the first release.\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass

http.server.HTTPServer.timeout = 1
with http.server.HTTPServer(("", @PORT@), Placeholder) as server:
    while not glob.glob("/opt/codedeploy-agent/deployment-root/*/d-*"):
        server.handle_request()
PY
systemd-run --unit=first-release-placeholder /usr/bin/python3 /usr/local/bin/first-release-placeholder

metadata() {
  curl -fsS --retry 5 -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}
token=$(curl -fsS --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
region=$(metadata placement/region)
bucket="https://aws-codedeploy-$region.s3.$region.$(metadata services/domain)"

# Any answer will do: without -f an error page is one too.
for _ in {1..60}; do
  curl -sS -o /dev/null --connect-timeout 5 "$bucket/" && break
  sleep 5
done

# Agent 2.x needs no Ruby but is not in every region yet; 1.x is.
# https://docs.aws.amazon.com/codedeploy/latest/userguide/codedeploy-agent-operations-install-linux.html
for line in latestv2 latest; do
  if curl -fsS --retry 5 -o /tmp/install "$bucket/$line/install"; then
    [ "$line" = latestv2 ] || dnf install -y ruby wget
    chmod +x /tmp/install
    if /tmp/install auto && systemctl enable --now codedeploy-agent; then
      rm -f /tmp/install
      echo "CodeDeploy agent installed from $bucket/$line"
      exit 0
    fi
  fi
  echo "no CodeDeploy agent from $bucket/$line" >&2
done
echo "this instance has no CodeDeploy agent: deployments to it will time out" >&2
exit 1
