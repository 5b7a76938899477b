// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

// example is a command line, for the help and the manual pages. Tests parse it.
type example struct{ about, command string }

// examples are those of each command, by its path.
var examples = map[string][]example{
	"": {
		{"Protect a service on port 8000; listen on port 8080.", "otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd"},
		{"Create the file of accounts, with one account.", "otelauth users add users.htpasswd alice"},
		{"Write a configuration file by answering five questions.", "otelauth gateway init"},
		{"The help of a command.", "otelauth help users add"},
	},
	"gateway": {
		{"Protect a service, except for its static files.", "otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd --public 'GET /static/'"},
		{"With TLS, on all addresses.", "otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd --listen :8443 --cert-file cert.pem --key-file key.pem"},
		{"Behind a proxy that terminates TLS; /admin/ is for one group.", "otelauth gateway --upstream http://127.0.0.1:8000 --users users.htpasswd --groups groups --trusted-proxy 10.0.0.0/8 --allow-groups '/admin/=ops'"},
		{"Answer nginx, which forwards the requests itself.", "otelauth gateway --forward-auth nginx --listen unix:/run/otelauth/gw.sock --trust-unix-socket --users users.htpasswd"},
		{"With the accounts of a Django site, and metrics for Prometheus.", "OTEL_METRICS_EXPORTER=prometheus otelauth gateway --upstream http://127.0.0.1:8000 --sql-driver postgres --sql-dsn-file dsn --django"},
		{"Check a file before a reload, and whether the service answers.", "otelauth gateway --check=online --config gateway.yaml"},
	},
	"gateway init": {
		{"Answer five questions.", "otelauth gateway init"},
		{"Without questions; every flag of otelauth gateway is written to the file.", "otelauth gateway init /etc/otelauth/gateway.yaml --upstream http://127.0.0.1:8000 --users users.htpasswd --public 'GET /static/'"},
	},
	"users add": {
		{"Ask for the password.", "otelauth users add users.htpasswd alice"},
		{"Read the password from a file; the account expires in 90 days.", "otelauth users add users.htpasswd deploy --expires 90d < password.txt"},
		{"A hash that Apache and nginx can read.", "otelauth users add users.htpasswd bob --scheme bcrypt"},
	},
	"users passwd": {
		{"Accept the previous password for one more day, while clients change.", "otelauth users passwd users.htpasswd deploy --keep-old 24h"},
	},
	"users disable": {{"Reject the logins of an account from now on.", "otelauth users disable users.htpasswd alice"}},
	"users enable":  {{"Accept them again.", "otelauth users enable users.htpasswd alice"}},
	"users expire": {
		{"The last day of an account.", "otelauth users expire users.htpasswd alice 2026-12-31"},
		{"No expiry.", "otelauth users expire users.htpasswd alice never"},
	},
	"users remove": {{"Remove an account.", "otelauth users remove users.htpasswd alice"}},
	"users list":   {{"List accounts with their groups.", "otelauth users list users.htpasswd --groups groups"}},
	"users check":  {{"Check a file before a server reads it.", "otelauth users check users.htpasswd"}},
	"whois": {
		{"Which account is behind a user.hash in the telemetry?", "otelauth whois --identity-key-file identity.key --users users.htpasswd k1:00112233445566778899aabbccddeeff"},
		{"Which hashes does each account have?", "otelauth whois --identity-key-file identity.key --users users.htpasswd"},
		{"Try names from a list.", "otelauth whois --identity-key-file identity.key --names - k1:00112233445566778899aabbccddeeff < names.txt"},
	},
	"status": {
		{"The gateway of this machine.", "otelauth status"},
		{"Its settings too, without secrets.", "otelauth status --settings"},
		{"For a script.", "otelauth status -o json"},
	},
	"top": {
		{"Watch, until Ctrl-C.", "otelauth top"},
		{"The events of the live view, one JSON object a line.", "otelauth top -o json"},
	},
	"attempts": {
		{"The failures of one account.", "otelauth attempts --account alice --outcome failure,throttled"},
		{"What one network did in the last five minutes.", "otelauth attempts --network 198.51.100.0/24 --since 5m"},
		{"The attempt behind a trace id that a user quotes.", "otelauth attempts --trace 0af7651916cd43dd8448eb211c80319c"},
	},
	"episodes": {
		{"Who is attacking now?", "otelauth episodes --state running"},
		{"Attacks on one account.", "otelauth episodes --account alice"},
		{"One attack: its addresses, endpoints and clients, how sure detection is, and what to do.", "otelauth episodes 5f0c3a9be1d24a77"},
	},
	"budgets list": {{"Who is blocked?", "otelauth budgets list"}},
	"budgets explain": {
		{"Alice is on the phone; this can be read to her.", "otelauth budgets explain alice --network 192.0.2.7"},
		{"Is a network blocked?", "otelauth budgets explain --network 192.0.2.0/24"},
	},
	"budgets clear": {
		{"Let alice in again.", "otelauth budgets clear alice --reason 'ticket 7'"},
		{"The same at a gateway elsewhere.", "otelauth budgets clear alice --reason 'ticket 7' --operator https://admin.example/-/operator --user carol --password-file carol.pass"},
	},
	"budgets allow": {{"Load tests for two hours.", "otelauth budgets allow --network 192.0.2.0/24 --for 2h --reason 'load test'"}},
	"budgets deny": {
		{"Stop an attacker for a day.", "otelauth budgets deny --network 198.51.100.0/24 --for 24h --reason 'password spray'"},
		{"Block one account from everywhere.", "otelauth budgets deny alice --reason 'stolen laptop'"},
	},
	"budgets forget": {{"Every client of alice must send her password again; open streams end.", "otelauth budgets forget alice --reason 'stolen laptop'"}},
	"budgets acts":   {{"What did operators do?", "otelauth budgets acts"}},
	"budgets undo":   {{"End a deny.", "otelauth budgets undo 5f0c3a9be1d24a77 --reason 'false alarm'"}},
	"trail keygen":   {{"Make a key, before the first start with a trail.", "otelauth trail keygen /etc/otelauth/trail.key --origin host.example/orders"}},
	"trail verify": {
		{"A trail that is being written, against the checkpoints that the backend kept.", "otelauth trail verify /var/lib/otelauth/trail --public-key trail.key.pub --checkpoints checkpoints.json --unsealed 1m"},
		{"A trail at rest: every line must be covered by a checkpoint.", "otelauth trail verify backup/trail --public-key trail.key.pub --checkpoints checkpoints.json"},
	},
	"trail show": {
		{"Follow the denials of one account.", "otelauth trail show /var/lib/otelauth/trail --follow --user alice --outcome failure,throttled"},
		{"The last day as OCSF, one event a line.", "otelauth trail show /var/lib/otelauth/trail --since 24h --format ocsf"},
	},
	"trail prove":  {{"Prove to somebody else that line 4711 is in the trail.", "otelauth trail prove /var/lib/otelauth/trail --public-key trail.key.pub --line 4711"}},
	"trail prune":  {{"Remove what is older than 90 days.", "otelauth trail prune /var/lib/otelauth/trail --key-file trail.key --before 90d --actor carol --reason retention"}},
	"trail export": {{"Write a file for an auditor, who checks it with trail verify.", "otelauth trail export /var/lib/otelauth/trail audit.tar --public-key trail.key.pub"}},
	"probe": {
		{"Probe the endpoints of a list, with one account.", "OTELAUTH_PROBE_USER=alice OTELAUTH_PROBE_PASSWORD=… otelauth probe http://127.0.0.1:8080 --list endpoints.txt"},
		{"Probe an OpenAPI document with several accounts, and keep each request and answer.", "otelauth probe https://shop.example --openapi openapi.yaml --identities identities.yaml --throwaway mallory --json report.json"},
		{"Probe what a gateway protects; in CI, with findings that are known.", "otelauth probe http://127.0.0.1:8080 --policy gateway.yaml --baseline baseline.yaml --fail-on medium"},
		{"The report as a page for people, and for the pipelines of GitHub and GitLab.", "otelauth probe http://127.0.0.1:8080 --list endpoints.txt --html probe.html --sarif probe.sarif --junit probe.xml"},
		{"Without a limit of requests, against a copy of the service on this machine.", "otelauth probe http://127.0.0.1:8080 --list endpoints.txt --rate 0 --unsafe-methods"},
	},
	"detect replay": {
		{"What would detection have found in the log of OpenSSH?", "otelauth detect replay /var/log/auth.log /var/log/auth.log.1"},
		{"From standard input, such as what journalctl -u ssh -o short-iso prints.", "otelauth detect replay - < ssh.txt"},
		{"A web server: the access log has the successes, the error log has the reasons.", "otelauth detect replay /var/log/nginx/access.log /var/log/nginx/error.log"},
		{"For a pipeline: exit code 1 if there is an attack of high severity.", "otelauth detect replay events.jsonl --fail-on high -o json"},
	},
	"version": {{"Version, commit and Go version.", "otelauth version"}},
	"help":    {{"All settings of the gateway.", "otelauth help --all gateway"}},
	"completion": {
		{"bash: for this user.", "otelauth completion bash > ~/.local/share/bash-completion/completions/otelauth"},
		{"zsh: for all users.", "otelauth completion zsh > /usr/local/share/zsh/site-functions/_otelauth"},
		{"fish: for this user.", "otelauth completion fish > ~/.config/fish/completions/otelauth.fish"},
	},
	"man": {
		{"Read a page.", "otelauth man gateway | man -l -"},
		{"Write all pages to a folder.", "otelauth man --output share/man/man1"},
	},
}
