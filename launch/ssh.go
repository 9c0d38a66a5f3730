package launch

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// SSHOptions describe hosts that are reached by ssh without a password.
type SSHOptions struct {
	Deployment
	Coordinator string   // host that the script is run on, as the others reach it
	Hosts       []string // one node on each: HOST or USER@HOST
}

// SSH renders a script that runs the coordinator where it is started and a node on
// every host, and ends when the run does. Nodes of Deployment is not used.
func SSH(o SSHOptions) (string, error) {
	if err := o.complete(); err != nil {
		return "", fmt.Errorf("ssh: %w", err)
	}
	return render("ssh.sh", o)
}

func (o *SSHOptions) complete() error {
	o.Nodes = len(o.Hosts)
	if o.Nodes == 0 {
		return fmt.Errorf("on which hosts are nodes to run? name them behind the flags")
	}
	if err := o.Deployment.complete(); err != nil {
		return err
	}
	if !hostName.MatchString(o.Coordinator) {
		return fmt.Errorf("%q is not the name of a host that the coordinator could run on", o.Coordinator)
	}
	for i, target := range o.Hosts {
		user, host := splitTarget(target)
		if !hostName.MatchString(host) || strings.HasPrefix(target, "-") || user != "" && !userName.MatchString(user) {
			return fmt.Errorf("%q is not HOST or USER@HOST", target)
		}
		if slices.Contains(o.Hosts[:i], target) {
			return fmt.Errorf("%s is named twice; a host has one node", target)
		}
	}
	return nil
}

func splitTarget(target string) (user, host string) {
	if user, host, found := strings.Cut(target, "@"); found {
		return user, host
	}
	return "", target
}

// CoordinatorCommand is a shell's command line.
func (o SSHOptions) CoordinatorCommand() string {
	return shellWords(append([]string{o.Binary, "coordinator", "--advertise", o.Coordinator}, o.CoordinatorArgs()...))
}

// SSHNode is a node of the script.
type SSHNode struct{ Target, Name, Command string }

// NodeCommands are the nodes' commands, for the shells of their hosts.
func (o SSHOptions) NodeCommands() []SSHNode {
	var nodes []SSHNode
	for _, target := range o.Hosts {
		_, host := splitTarget(target)
		name := strings.ReplaceAll(host, ":", "-") // an IPv6 address is no name
		address := net.JoinHostPort(o.Coordinator, strconv.Itoa(o.Port))
		command := append([]string{"exec", o.Binary, "node", "--name", name, "--advertise", host, "--coordinator", address},
			o.NodeArgs(nodePort, nodeGossipPort)...)
		nodes = append(nodes, SSHNode{target, name, shellWords(command)})
	}
	return nodes
}
