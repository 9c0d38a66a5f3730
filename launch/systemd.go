package launch

import (
	"cmp"
	"fmt"
	"net"
	"regexp"
	"strconv"
)

// SystemdOptions describe services on hosts that stay.
type SystemdOptions struct {
	Deployment
	User        string // that the processes run as
	Coordinator string // host that the coordinator runs on, as the others reach it
}

// SystemdBinary is where an administrator installs programs: a unit file needs the
// whole path.
const SystemdBinary = "/usr/local/bin/parallax"

// SystemdCoordinator renders parallax-coordinator.service, for the coordinator's host.
// A coordinator that crashes is started again; one whose run is complete, or that is
// configured wrongly, is not.
func SystemdCoordinator(o SystemdOptions) (string, error) {
	if err := o.checkRun(); err != nil {
		return "", fmt.Errorf("systemd: %w", err)
	}
	return o.render("coordinator.service")
}

// SystemdNode renders parallax-node.service, for every host with a device. It needs
// neither Spec, RunDir nor Nodes: a node has them from the coordinator.
func SystemdNode(o SystemdOptions) (string, error) { return o.render("node.service") }

func (o SystemdOptions) render(name string) (string, error) {
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("systemd: %w", err)
	}
	return render(name, o)
}

var (
	userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9.:-]+$`) // IP addresses too
)

func (o *SystemdOptions) complete() error {
	o.Binary = cmp.Or(o.Binary, SystemdBinary)
	o.fill()
	if err := o.checkHosts(); err != nil {
		return err
	}
	if !userName.MatchString(o.User) {
		return fmt.Errorf("%q is not the name of a user that the processes could run as", o.User)
	}
	if !hostName.MatchString(o.Coordinator) {
		return fmt.Errorf("%q is not the name of a host that the coordinator could run on", o.Coordinator)
	}
	for _, path := range []string{o.Binary, o.Spec, o.RunDir, o.TLSDir, o.GossipKeyFile, o.JoinTokenFile} {
		if path != "" && path[0] != '/' {
			return fmt.Errorf("a unit file needs absolute paths, and %q is not one", path)
		}
	}
	return nil
}

// CoordinatorCommand is the command line of the coordinator's unit.
func (o SystemdOptions) CoordinatorCommand() string {
	return unitWords(append([]string{o.Binary, "coordinator", "--advertise", o.Coordinator}, o.CoordinatorArgs()...))
}

// NodeCommand is the command line of a node's unit; systemd puts the host's name
// for %H.
func (o SystemdOptions) NodeCommand() string {
	address := net.JoinHostPort(o.Coordinator, strconv.Itoa(o.Port))
	return unitWords([]string{o.Binary, "node"}) + " --name %H --advertise %H " +
		unitWords(append([]string{"--coordinator", address}, o.NodeArgs(nodePort, nodeGossipPort)...))
}
