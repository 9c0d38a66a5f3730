package launch

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Deployment is what all renderings have in common. Without TLSDir the hosts reach
// each other in the clear, so the network has to be a trusted one.
type Deployment struct {
	Binary      string        // path of parallax on all hosts; "": parallax, found by PATH
	Spec        string        // file of the run spec, read by the coordinator
	RunDir      string        // for checkpoints, on storage that all hosts share
	Nodes       int           // in the whole cluster
	MinNodes    int           // the run goes on with so many when others are lost; 0: all
	Device      string        // of every node; "": cpu
	Threads     int           // of every node, 0: its own choice
	Port        int           // of the coordinator; 0: 7070
	GossipPort  int           // of the coordinator; 0: 7946
	JoinTimeout time.Duration // how long the coordinator waits for the nodes; 0: 10 minutes

	TLSDir        string // folder on every host with its own ca.pem, cert.pem and key.pem; "": no TLS
	GossipKeyFile string // on the coordinator's host; needed with TLSDir, and only with it
	JoinTokenFile string // on every host; "": none. Only with TLSDir
}

// Ports of nodes, where each host has only one.
const (
	nodePort       = "7071"
	nodeGossipPort = "7947"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").
	Funcs(template.FuncMap{"sh": shellQuote, "unit": unitQuote, "yaml": yamlQuote}).
	ParseFS(templateFiles, "templates/*"))

// render fills a template; our own templates cannot fail on checked options.
func render(name string, options any) (string, error) {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, options); err != nil {
		return "", err
	}
	return b.String(), nil
}

// complete fills in defaults and says what is missing.
func (d *Deployment) complete() error {
	d.fill()
	if err := d.checkRun(); err != nil {
		return err
	}
	return d.checkHosts()
}

// fill fills in defaults.
func (d *Deployment) fill() {
	d.Binary = cmp.Or(d.Binary, "parallax")
	d.Device = cmp.Or(d.Device, "cpu")
	defaultPort, _ := strconv.Atoi(DefaultPort)
	d.Port, d.GossipPort = cmp.Or(d.Port, defaultPort), cmp.Or(d.GossipPort, 7946)
	d.JoinTimeout = cmp.Or(d.JoinTimeout, 10*time.Minute)
}

// checkRun says what the coordinator would miss.
func (d *Deployment) checkRun() error {
	switch {
	case d.Spec == "":
		return fmt.Errorf("which run is to be trained? give the file of its spec with --spec")
	case d.RunDir == "":
		return fmt.Errorf("where are checkpoints to go? give a folder that all hosts share with --run-dir")
	case d.Nodes == 0:
		return fmt.Errorf("--nodes is required: give how many nodes the whole cluster has")
	case d.Nodes < 0:
		return fmt.Errorf("a cluster of %d nodes makes no sense; give 1 or more with --nodes", d.Nodes)
	case d.MinNodes < 0 || d.MinNodes > d.Nodes:
		return fmt.Errorf("a run of %d nodes cannot go on with %d of them; give 1 to %d with --min-nodes", d.Nodes, d.MinNodes, d.Nodes)
	}
	return nil
}

// checkHosts says what is wrong on every host.
func (d *Deployment) checkHosts() error {
	for _, port := range []int{d.Port, d.GossipPort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("%d is not a port", port)
		}
	}
	if err := d.completeTrust(); err != nil {
		return err
	}
	for _, text := range []string{d.Binary, d.Spec, d.RunDir, d.Device, d.TLSDir, d.GossipKeyFile, d.JoinTokenFile} {
		if hasControl(text) {
			return fmt.Errorf("%q contains a control character", text)
		}
	}
	return nil
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// completeTrust says what the processes would refuse.
func (d *Deployment) completeTrust() error {
	switch {
	case d.TLSDir != "" && d.GossipKeyFile == "":
		return fmt.Errorf("with TLS gossip has to be encrypted too: make a key by parallax certs gossip-key, and give its file on the coordinator's host with --gossip-key-file")
	case d.TLSDir == "" && (d.GossipKeyFile != "" || d.JoinTokenFile != ""):
		return fmt.Errorf("a gossip key or a join token could be read on its way without TLS: give the folder of certificates with --tls-dir too")
	}
	return nil
}

// trustArgs are the flags by which a process proves itself, or does not.
func (d Deployment) trustArgs() []string {
	if d.TLSDir == "" {
		return []string{"--insecure"}
	}
	args := []string{"--tls-ca", path.Join(d.TLSDir, "ca.pem"), "--tls-cert", path.Join(d.TLSDir, "cert.pem"), "--tls-key", path.Join(d.TLSDir, "key.pem")}
	if d.JoinTokenFile != "" {
		args = append(args, "--join-token-file", d.JoinTokenFile)
	}
	return args
}

// CoordinatorArgs are the coordinator's flags behind --advertise.
func (d Deployment) CoordinatorArgs() []string {
	args := []string{"--listen", "0.0.0.0:" + strconv.Itoa(d.Port), "--gossip", "0.0.0.0:" + strconv.Itoa(d.GossipPort)}
	args = append(args, d.trustArgs()...)
	if d.GossipKeyFile != "" {
		args = append(args, "--gossip-key-file", d.GossipKeyFile)
	}
	args = append(args, "--nodes", strconv.Itoa(d.Nodes))
	if d.MinNodes > 0 {
		args = append(args, "--min-nodes", strconv.Itoa(d.MinNodes))
	}
	return append(args, "--join-timeout", d.JoinTimeout.String(),
		"--spec", d.Spec, "--run-dir", d.RunDir, "--resume")
}

// NodeArgs are a node's flags behind --coordinator and --advertise, with the
// ports of its ring and gossip.
func (d Deployment) NodeArgs(ring, gossip string) []string {
	args := append([]string{"--listen", "0.0.0.0:" + ring, "--gossip", "0.0.0.0:" + gossip}, d.trustArgs()...)
	args = append(args, "--device", d.Device)
	if d.Threads > 0 {
		args = append(args, "--threads", strconv.Itoa(d.Threads))
	}
	return args
}

// plain matches what needs no quotes in any shell or unit file.
var plain = regexp.MustCompile(`^[A-Za-z0-9_@:=,./+-]+$`)

// shellQuote makes one word of text for a POSIX shell.
func shellQuote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func shellWords(words []string) string { return quoteAll(words, shellQuote) }

// unitQuote makes one word of text for a command line in a systemd unit.
func unitQuote(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(text) + `"`
}

func unitWords(words []string) string { return quoteAll(words, unitQuote) }

func quoteAll(words []string, quote func(string) string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quote(word)
	}
	return strings.Join(quoted, " ")
}
