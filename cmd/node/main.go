// Command node is the daemon on a host with a device: it joins a coordinator's
// cluster, trains its share of every step, and takes part in the ring.
package main

import (
	"os"

	"parallax/internal/cli"
	_ "parallax/kernels/cpu"
)

func main() { os.Exit(cli.Main(cli.Node())) }
