package cgroup

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cellwall/runtime/kernel"
)

// access is a set of the rights of a device rule; the bits are those of BPF_DEVCG_ACC_*.
type access uint32

const (
	mknod access = 1 << iota
	read
	write
	anyAccess = mknod | read | write
)

func (a access) String() string {
	var s string
	for i, c := range "mrw" {
		if a&(1<<i) != 0 {
			s += string(c)
		}
	}
	return s
}

func (r DeviceRule) access() access {
	if r.Access == "" {
		return anyAccess
	}
	var a access
	for i, c := range "mrw" {
		if strings.ContainsRune(r.Access, c) {
			a |= 1 << i
		}
	}
	return a
}

func (r DeviceRule) check() error {
	switch {
	case !slices.Contains([]string{"", "a", "b", "c"}, r.Type):
		return fmt.Errorf("check device rule %v: type %q is not a, b or c", r, r.Type)
	case strings.Trim(r.Access, "rwm") != "":
		return fmt.Errorf("check device rule %v: access %q is not of r, w, m", r, r.Access)
	}
	// MINORBITS is 20; majors are 12 bits, but the same bound serves.
	for _, n := range []*int64{r.Major, r.Minor} {
		if n != nil && (*n < -1 || *n >= 1<<20) {
			return fmt.Errorf("check device rule %v: number %d is out of range", r, *n)
		}
	}
	return nil
}

// String is the rule as v1's files spell it, after what it does.
func (r DeviceRule) String() string {
	verb := "deny "
	if r.Allow {
		verb = "allow "
	}
	return verb + r.spell()
}

func (r DeviceRule) spell() string {
	kind := r.Type
	if kind == "" {
		kind = "a"
	}
	return fmt.Sprintf("%s %s:%s %v", kind, deviceNumber(r.Major), deviceNumber(r.Minor), r.access())
}

// deviceNumber: as in runc, -1 is another way to say any.
func deviceNumber(n *int64) string {
	if n == nil || *n == -1 {
		return "*"
	}
	return fmt.Sprint(*n)
}

// isAll reports whether the rule decides about every device and access.
func (r DeviceRule) isAll() bool { return strings.HasPrefix(r.spell(), "a *:* mrw") }

// covers reports whether all of s's devices are r's, touches whether some are. Both rules have
// type b or c.
func (r DeviceRule) covers(s DeviceRule) bool {
	return r.Type == s.Type && numberCovers(r.Major, s.Major) && numberCovers(r.Minor, s.Minor)
}

func (r DeviceRule) touches(s DeviceRule) bool {
	return r.Type == s.Type && (numberCovers(r.Major, s.Major) || numberCovers(s.Major, r.Major)) &&
		(numberCovers(r.Minor, s.Minor) || numberCovers(s.Minor, r.Minor))
}

func numberCovers(a, b *int64) bool {
	return deviceNumber(a) == "*" || deviceNumber(a) == deviceNumber(b)
}

// devicesV1 turns rules into what v1 keeps: whether all is allowed, and exceptions to that. A
// rule with the default's own polarity takes away from exceptions before it; where only a part
// of an exception's devices would go, v1 has no words for the result.
func devicesV1(rules []DeviceRule) (allowAll bool, exceptions []DeviceRule, err error) {
	for _, rule := range rules {
		if rule.isAll() {
			allowAll, exceptions = rule.Allow, nil
			continue
		}
		kinds := []string{rule.Type}
		if rule.Type == "" || rule.Type == "a" {
			kinds = []string{"b", "c"}
		}
		for _, kind := range kinds {
			r := rule
			r.Type = kind
			if r.Allow != allowAll {
				exceptions = append(exceptions, r)
				continue
			}
			var left []DeviceRule
			for _, e := range exceptions {
				switch {
				case r.covers(e):
					e.Access = (e.access() &^ r.access()).String()
					if e.Access == "" {
						continue
					}
				case r.touches(e) && r.access()&e.access() != 0:
					return false, nil, kernel.Unsupported("device rule %q after %q on cgroup v1", rule, e)
				}
				left = append(left, e)
			}
			exceptions = left
		}
	}
	return allowAll, exceptions, nil
}

func (g *Group) setDevices(rules []DeviceRule) error {
	if reflect.DeepEqual(rules, g.limits.Devices) {
		return nil
	}
	if d := g.dir("devices"); d != nil {
		return d.setDevicesV1(rules)
	}
	if d := g.v2(); d != nil {
		return g.setDevicesV2(d, rules)
	}
	return g.lacks("devices")
}

func (d *dir) setDevicesV1(rules []DeviceRule) error {
	if len(rules) == 0 {
		return d.write("devices.allow", "a")
	}
	allowAll, exceptions, err := devicesV1(rules)
	if err != nil {
		return err
	}
	base, file := "devices.deny", "devices.allow"
	if allowAll {
		base, file = file, base
	}
	if err := d.write(base, "a"); err != nil {
		return err
	}
	for _, e := range exceptions {
		if err := d.write(file, e.spell()); err != nil {
			return err
		}
	}
	list, err := d.read("devices.list")
	if err != nil {
		return err
	}
	// Where all is allowed the kernel does not list the exceptions.
	if got := list == "a *:* rwm"; got != allowAll {
		return fmt.Errorf("write %s/%s: devices.list is %q", d.path, base, list)
	}
	return d.checkListed(allowAll, exceptions, list)
}

func (d *dir) checkListed(allowAll bool, exceptions []DeviceRule, list string) error {
	if allowAll {
		return nil
	}
	got, err := parseDeviceList(list)
	if err != nil {
		return err
	}
	for _, e := range exceptions {
		if !slices.ContainsFunc(got, func(r DeviceRule) bool { return r.covers(e) && r.access()&e.access() == e.access() }) {
			return fmt.Errorf("write %q to %s/devices.allow: devices.list is %q", e.spell(), d.path, list)
		}
	}
	return nil
}

// parseDeviceList reads devices.list as rules that allow.
func parseDeviceList(list string) ([]DeviceRule, error) {
	var rules []DeviceRule
	for line := range strings.SplitSeq(list, "\n") {
		if line == "" {
			continue
		}
		r := DeviceRule{Allow: true}
		var numbers string
		if n, err := fmt.Sscanf(line, "%1s %s %3s", &r.Type, &numbers, &r.Access); n != 3 {
			return nil, fmt.Errorf("parse devices.list line %q: %w", line, err)
		}
		major, minor, ok := strings.Cut(numbers, ":")
		if !ok {
			return nil, fmt.Errorf("parse devices.list line %q: %w", line, errors.New("no colon"))
		}
		var err error
		if r.Major, err = parseDeviceNumber(major); err != nil {
			return nil, err
		}
		if r.Minor, err = parseDeviceNumber(minor); err != nil {
			return nil, err
		}
		if err := r.check(); err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseDeviceNumber(s string) (*int64, error) {
	if s == "*" {
		return nil, nil
	}
	var n int64
	if _, err := fmt.Sscanf(s+"\n", "%d\n", &n); err != nil || n < 0 {
		return nil, fmt.Errorf("parse device number %q", s)
	}
	return &n, nil
}
