package launch

import (
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

// SystemdUnits are two unit files.
type SystemdUnits struct {
	Coordinator string // for the coordinator's host: parallax-coordinator.service
	Node        string // for every host with a device: parallax-node.service
}

// Systemd renders unit files. A run that loses a node is started again from its
// last checkpoint; one that is complete, or that is configured wrongly, is not.
func Systemd(o SystemdOptions) (units SystemdUnits, err error) {
	if err := o.complete(); err != nil {
		return units, fmt.Errorf("systemd: %w", err)
	}
	if units.Coordinator, err = render("coordinator.service", o); err != nil {
		return units, err
	}
	units.Node, err = render("node.service", o)
	return units, err
}

var (
	userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9.:-]+$`) // IP addresses too
)

func (o *SystemdOptions) complete() error {
	if err := o.Deployment.complete(); err != nil {
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
