package attack

import (
	"os"

	"golang.org/x/sys/unix"
)

var utsAttacks = []Attack{
	HostName,
	HostNameDenied,
}

// HostName sets the host and the domain name to Target.Name by the calls and by the sysctls, and
// holds. It does nothing where the host name is Target.Extra: the harness's own.
var HostName = Attack{Name: "uts.hostname-host", Run: func(a *Attempt) { a.rename() }}

// HostNameDenied is HostName against a container's own name.
var HostNameDenied = Attack{Name: "uts.hostname-denied", Run: func(a *Attempt) { a.rename() }}

func (a *Attempt) rename() {
	var now unix.Utsname
	if err := unix.Uname(&now); err != nil || text(now.Nodename[:]) == a.Target.Extra {
		a.Try("leave the host's own name alone", unix.ECANCELED)
		return
	}
	name := []byte(a.Target.Name)
	a.Try("sethostname", unix.Sethostname(name))
	a.Try("setdomainname", unix.Setdomainname(name))
	for _, sysctl := range []string{"/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname"} {
		f, err := os.OpenFile(sysctl, os.O_WRONLY, 0)
		if !a.Try("open "+sysctl, err) {
			continue
		}
		_, err = f.Write(name)
		a.Try("write "+sysctl, err)
		f.Close() //nolint:errcheck // what counts was said by write
	}
	a.Hold("named")
}
