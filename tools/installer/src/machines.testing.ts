import {
  type Environment,
  agent,
  gateway,
  k3d,
  k3s,
  kind,
  mac,
  minikube,
  rest,
  server,
  smallRest,
  workstation,
  wsl,
} from './environment.testing.ts'

/** Kinds of machine, and what is made on each when nothing is asked for. */
export const machines: Environment[] = [
  // The best fit: servers
  { name: 'a virtual machine', facts: server, plan: [k3s, ...rest] },
  { name: 'an arm64 server', facts: { ...server, arch: 'arm64' }, plan: [k3s, ...rest] },
  { name: 'Alpine with OpenRC', facts: { ...server, init: 'openrc' }, plan: [k3s, ...rest] },
  {
    name: 'a server with Docker',
    facts: { ...server, docker: 'usable' },
    plan: [k3s, ...rest],
  },
  {
    name: 'one CPU and 2 GB, as the kernel shows them',
    facts: { ...server, cpus: 1, memory_mb: 1936, disk_mb: 20_000 },
    plan: [k3s, ...smallRest],
  },
  {
    name: 'the smallest machine: 512 MB',
    facts: { ...server, cpus: 1, memory_mb: 470, disk_mb: 4000 },
    plan: [k3s, ...smallRest],
  },
  {
    name: 'an LXC container',
    facts: { ...server, container: 'lxc' },
    plan: ['create k3s traefik=off lxc=yes', ...rest],
  },
  {
    name: 'a server that has every tool',
    facts: { ...server, kubectl: 'yes', helm: 'yes' },
    plan: [k3s, ...gateway, agent],
  },
  {
    name: 'a Raspberry Pi 4 with 4 GB, a part of which its graphics keep',
    facts: { ...server, arch: 'arm64', memory_mb: 3792, disk_mb: 24_000 },
    plan: [k3s, ...rest],
  },
  {
    name: 'a cloud machine with two CPUs and 1 GB',
    facts: { ...server, cpus: 2, memory_mb: 949, disk_mb: 6500 },
    plan: [k3s, ...smallRest],
  },
  {
    name: 'a server whose Docker has died',
    facts: { ...server, docker: 'silent' },
    plan: [k3s, ...rest],
  },
  {
    name: 'Gentoo with OpenRC and Docker, on a machine with much of everything',
    facts: { ...server, init: 'openrc', docker: 'usable', cpus: 64, memory_mb: 256_000 },
    plan: [k3s, ...rest],
  },
  // The best fit: desks
  { name: 'a Linux workstation with Docker', facts: workstation, plan: [...k3d, ...rest] },
  {
    name: 'a workstation that has k3d and kubectl',
    facts: { ...workstation, kubectl: 'yes', k3d: 'yes', helm: 'yes' },
    plan: ['create k3d traefik=off', ...gateway, agent],
  },
  {
    name: 'a small workstation with Docker',
    facts: { ...workstation, cpus: 2, memory_mb: 1900, disk_mb: 30_000 },
    plan: [...k3d, ...smallRest],
  },
  {
    name: 'macOS with Docker',
    facts: mac,
    plan: [...minikube('driver=docker cpus=2 memory_mb=7200'), ...rest],
  },
  {
    name: 'macOS without Docker, with a virtual machine driver',
    facts: { ...mac, docker: 'absent', vm_driver: 'vfkit', cpus: 10 },
    plan: [...minikube('driver=vfkit cpus=5 memory_mb=7200'), ...rest],
  },
  {
    name: 'macOS with 4 GB: minikube never gets less than it needs',
    facts: { ...mac, cpus: 2, memory_mb: 4096 },
    plan: [...minikube('driver=docker cpus=2 memory_mb=2048'), ...rest],
  },
  {
    name: 'macOS with a full disk: minikube does not fit, k3d does',
    facts: { ...mac, disk_mb: 9000 },
    plan: [...k3d, ...rest],
  },
  {
    name: 'a MacBook with 8 GB that has every tool',
    facts: { ...mac, cpus: 8, memory_mb: 8192, kubectl: 'yes', minikube: 'yes', helm: 'yes' },
    plan: ['create minikube driver=docker cpus=4 memory_mb=3686', ...gateway, agent],
  },
  {
    name: 'an Intel Mac with VirtualBox and Docker asleep',
    facts: { ...mac, arch: 'amd64', docker: 'silent', vm_driver: 'virtualbox', cpus: 2 },
    plan: [...minikube('driver=virtualbox cpus=2 memory_mb=7200'), ...rest],
  },
  {
    name: 'a Linux workstation with VirtualBox and without Docker',
    facts: { ...workstation, docker: 'absent', vm_driver: 'virtualbox', cpus: 8 },
    plan: [...minikube('driver=virtualbox cpus=4 memory_mb=7200'), ...rest],
  },
  { name: 'WSL2 with Docker', facts: wsl, plan: [...k3d, ...rest] },
  {
    name: 'WSL2 with systemd, as root, without Docker',
    facts: { ...wsl, root: 'yes', docker: 'absent' },
    plan: [k3s, ...rest],
  },
  // The best fit: CI and containers
  {
    name: 'CI with Docker, not root',
    facts: { ...workstation, ci: 'yes', terminal: 'no', cpus: 2, memory_mb: 7900 },
    plan: [...kind, ...rest],
  },
  {
    name: 'CI with Docker, root, where k3s has nothing to run its service',
    facts: { ...server, ci: 'yes', docker: 'usable', init: 'none', container: 'docker' },
    plan: [...k3d, ...rest],
  },
  {
    name: 'a Docker container with the host’s Docker',
    facts: { ...server, container: 'docker', docker: 'usable', init: 'none' },
    plan: [...k3d, ...rest],
  },
  {
    name: 'a development container that shares its host’s Docker, not root',
    facts: { ...workstation, container: 'docker', init: 'none', cpus: 2, memory_mb: 7900 },
    plan: [...k3d, ...rest],
  },
  {
    name: 'a CI machine of one’s own: root, systemd and Docker',
    facts: { ...server, ci: 'yes', docker: 'usable', cpus: 8 },
    plan: [k3s, ...rest],
  },
  {
    name: 'an LXC container on a small machine',
    facts: { ...server, container: 'lxc', cpus: 1, memory_mb: 2000, disk_mb: 8000 },
    plan: ['create k3s traefik=off lxc=yes', ...smallRest],
  },
  // Nothing fits
  {
    name: 'a Docker container without Docker',
    facts: { ...server, container: 'docker', init: 'none' },
    refused: /no kind of cluster.*inside a docker container.*--context NAME/,
  },
  {
    name: 'a pod',
    facts: { ...server, container: 'kubernetes', init: 'none' },
    refused: /inside a kubernetes container/,
  },
  {
    name: 'a workstation without Docker and without root',
    facts: { ...workstation, docker: 'absent' },
    refused: /k3s: needs root.*k3d: needs Docker/,
  },
  {
    name: 'Docker that is installed and silent',
    facts: { ...workstation, docker: 'silent' },
    refused: /installed but does not answer/,
  },
  {
    name: 'macOS with nothing to run a cluster in',
    facts: { ...mac, docker: 'absent' },
    refused: /k3s: needs Linux.*needs Docker or a virtual machine driver/,
  },
  { name: 'WSL1', facts: { ...wsl, wsl: 1 }, refused: /WSL1 has no Linux kernel/ },
  {
    name: 'WSL2 without systemd and without Docker',
    facts: { ...wsl, root: 'yes', init: 'none', docker: 'absent' },
    refused: /needs systemd or OpenRC/,
  },
  {
    name: 'an LXC container that may not make network namespaces',
    facts: { ...server, container: 'lxc', netns: 'no' },
    refused: /network namespaces/,
  },
  {
    name: 'too little memory for anything',
    facts: { ...server, memory_mb: 256 },
    refused: /needs 460 MB of memory, has 256/,
  },
  {
    name: 'a full disk',
    facts: { ...server, disk_mb: 900 },
    refused: /needs 2000 MB of disk, has 900/,
  },
  {
    name: 'a Podman container',
    facts: { ...server, container: 'podman', init: 'none' },
    refused: /inside a podman container.*--context NAME/,
  },
  {
    name: 'a pod of a CI system, without Docker',
    facts: { ...workstation, container: 'kubernetes', ci: 'yes', docker: 'absent', init: 'none' },
    refused: /inside a kubernetes container, needs root/,
  },
  // Kubernetes that is already here
  {
    name: 'a machine with somebody’s k3s',
    facts: { ...server, node: 'k3s', port_6443: 'taken' },
    refused: /k3s is already installed here.*--context default/,
  },
  {
    name: 'a kubeadm node with Docker: not another node, but a cluster in Docker',
    facts: { ...server, node: 'kubelet', port_6443: 'taken', docker: 'usable' },
    plan: [...k3d, ...rest],
  },
  {
    name: 'a machine where port 6443 is taken',
    facts: { ...server, port_6443: 'taken' },
    refused: /port 6443 is taken/,
  },
  // Nothing at all runs
  {
    name: 'Git Bash on Windows',
    facts: { ...server, os: 'windows' },
    refused: /run it inside WSL2/,
  },
  { name: 'FreeBSD', facts: { ...server, os: 'freebsd' }, refused: /'freebsd' is not supported/ },
  {
    name: '32-bit ARM',
    facts: { ...server, arch: 'armv7l' },
    refused: /'armv7l' is not supported/,
  },
]
