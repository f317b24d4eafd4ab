#!/bin/sh
# Installs the PipeOps agent, and a Kubernetes cluster for it where there is none.
#
#   PIPEOPS_TOKEN_FILE=./token sh install.sh            install
#   sh install.sh --dry-run                             say what it would do, change nothing
#   sh install.sh uninstall                             remove what it added, nothing else
#   sh install.sh --help                                options and environment
#
# How it is made: `machine_facts` and `cluster_facts` look, `decide` (pure: facts in, plan out) chooses,
# `carry_out` does. Each thing is written into a record before it is made, so that an install that was
# killed half-way is still undone completely. Everything is a function and the last line calls `main`:
# a script that arrived cut off does nothing.
set -eu
set +a # a caller's `set -a` would export the token to every program started here
LC_ALL=C # elsewhere [a-z] may have capitals in it
export LC_ALL

# What is installed. A version is changed with PIPEOPS_<NAME>_VERSION. What each download is checked against is
# said at `pinned` below, and by --dry-run.
K3S_VERSION=${PIPEOPS_K3S_VERSION:-v1.34.3+k3s1}
K3D_VERSION=${PIPEOPS_K3D_VERSION:-v5.9.0}
KIND_VERSION=${PIPEOPS_KIND_VERSION:-v0.33.0}
KIND_NODE_IMAGE=${PIPEOPS_KIND_NODE_IMAGE:-kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d}
MINIKUBE_VERSION=${PIPEOPS_MINIKUBE_VERSION:-v1.38.1}
KUBERNETES_VERSION=v1.34.3 # for minikube, which can run any
KUBECTL_VERSION=${PIPEOPS_KUBECTL_VERSION:-$KUBERNETES_VERSION}
HELM_VERSION=${PIPEOPS_HELM_VERSION:-v4.3.0}
# The pair that passed Gateway API's conformance tests together: TLSRoute needs 1.5, Istio 1.30 follows 1.5.
GATEWAY_API_VERSION=${PIPEOPS_GATEWAY_API_VERSION:-v1.5.1}
ISTIO_VERSION=${PIPEOPS_ISTIO_VERSION:-1.30.0}

CLUSTER=pipeops # the local cluster's name, where the kind of cluster has one
NAMESPACE=pipeops-system
RELEASE=pipeops-agent
TOKEN_SECRET=pipeops-agent-token
STATE_CONFIGMAP=pipeops-agent-state # the agent's identity lives in these two
STATE_SECRET=pipeops-agent-secrets
# What this release of the script belongs to; a test compares both lines with deploy/chart.
PUBLISHED_CHART=oci://ghcr.io/pipeopshq/pipeops-agent/pipeops-agent PUBLISHED_CHART_VERSION=0.1.0
CHART_HAS_MONITORING=no # has it a monitoring sidecar to switch on?

usage() {
  cat <<EOF
Installs the PipeOps agent, and a Kubernetes cluster for it where there is none.

  sh install.sh [install] [options]      install, or bring what it installed up to date
  sh install.sh uninstall [options]      remove what it added, nothing else
  sh install.sh facts                    what it sees on this machine (no secrets)
  sh install.sh decide < FACTS           the plan for such facts; changes nothing

Options
  --dry-run         print the plan and change nothing
  --context NAME    install into this kubectl context
  --new-cluster     make a new cluster without asking about an existing context
  --values FILE     more values for the agent's chart
  --yes             uninstall without asking
  --keep-state      uninstall: keep the agent's identity in the cluster
  --keep-cluster    uninstall: keep the cluster this script made, remove what is in it
  --cluster-gone    uninstall: the cluster no longer exists; clean up this machine only

Environment
  PIPEOPS_TOKEN, PIPEOPS_TOKEN_FILE   the agent's token; asked for on a terminal when neither is set
  PIPEOPS_CLUSTER_NAME, CLUSTER_NAME  the name the control plane shows (default-cluster)
  PIPEOPS_API_URL                     the control plane (the chart's default)
  CLUSTER_TYPE                        k3s, minikube, k3d or kind instead of the best fit
  INSTALL_GATEWAY_API                 false: no Gateway API and no Istio (true)
  INSTALL_MONITORING                  false: no monitoring stack (true, where the chart can)
  PIPEOPS_CHART, PIPEOPS_CHART_VERSION  where the agent's chart is
  PIPEOPS_<NAME>_VERSION              another version of K3S, K3D, KIND, MINIKUBE, KUBECTL, HELM,
                                      GATEWAY_API or ISTIO, checked against what its publisher says
  PIPEOPS_GATEWAY_API_SHA256          needed with PIPEOPS_GATEWAY_API_VERSION: none is published
  PIPEOPS_INSTALLER_HOME              where the record and the downloaded programs are kept
EOF
}

say() { printf '%s\n' "$*"; }
step() {
  current_step=$*
  printf '==> %s\n' "$*"
}
warn() { printf 'note: %s\n' "$*" >&2; }

# What went wrong, where, and what to do.
complain() { printf 'error: %s\n  where: %s\n  do:    %s\n' "$1" "$2" "$3" >&2; }
die() {
  complain "$@"
  explained=yes
  exit 1
}

# ── Deciding: pure. Reads facts (key=value lines), prints the plan or the errors, runs nothing. ──────

FACT_NAMES="os arch container wsl root init netns node port_6443 cpus memory_mb disk_mb docker vm_driver \
ci terminal kubectl helm k3d kind minikube context context_reachable want_context cluster_type answer \
recorded recorded_alive gateway_crds istio agent agent_objects gateway_api monitoring chart_monitoring token \
cluster_name api_url proxy no_proxy dry_run"

decide() {
  f_os='' f_arch='' f_container=none f_wsl=no f_root=no f_init=none f_netns=yes f_node=none f_port_6443=free
  f_cpus=0 f_memory_mb=0 f_disk_mb=0 f_docker=absent f_vm_driver='' f_ci=no f_terminal=no
  f_kubectl=no f_helm=no f_k3d=no f_kind=no f_minikube=no
  f_context='' f_context_reachable=no f_want_context=ask f_cluster_type=auto f_answer=''
  f_recorded='' f_recorded_alive=no f_gateway_crds=absent f_istio=absent f_agent=absent f_agent_objects=''
  f_gateway_api=true f_monitoring=default f_chart_monitoring=no
  f_token=none f_cluster_name=default-cluster f_api_url='' f_proxy='' f_no_proxy='' f_dry_run=no
  errors=0 plan='' target=''

  # shellcheck disable=SC2034 # value is read by the eval, whose other half is one of the names above
  while IFS='=' read -r key value; do
    case " $FACT_NAMES " in
      *" $key "*) eval "f_$key=\$value" ;;
      *) if [ -n "$key" ]; then refuse "unknown fact '$key'" 'the facts on standard input' "use only: $FACT_NAMES"; fi ;;
    esac
  done

  check_facts
  [ "$errors" -gt 0 ] || choose_target
  if [ "$errors" -eq 0 ] && [ -n "$target" ]; then plan_contents; fi
  [ "$errors" -eq 0 ] || return 2
  printf '%s' "$plan"
}

refuse() {
  errors=$((errors + 1))
  printf 'error %s | %s | %s\n' "$1" "$2" "$3"
}
add() {
  plan="$plan$*
"
}

check_facts() {
  for number in "cpus=$f_cpus" "memory_mb=$f_memory_mb" "disk_mb=$f_disk_mb"; do
    case ${number#*=} in
      '' | *[!0-9]*) refuse "${number%%=*} is '${number#*=}', not a number" 'the facts' 'give a whole number' ;;
    esac
  done
  case $f_os in
    linux | darwin) ;;
    windows) refuse 'Windows itself cannot run this' 'the operating system' 'run it inside WSL2' ;;
    *) refuse "operating system '$f_os' is not supported" 'the operating system' 'use Linux, macOS or WSL2' ;;
  esac
  case $f_arch in
    amd64 | arm64) ;;
    *) refuse "processor '$f_arch' is not supported" 'the machine' 'use an amd64 or arm64 machine' ;;
  esac
  case $f_cluster_type in
    auto | k3s | minikube | k3d | kind) ;;
    *) refuse "'$f_cluster_type' is no kind of cluster" 'CLUSTER_TYPE' 'use k3s, minikube, k3d or kind, or leave it unset' ;;
  esac
  case $f_gateway_api in
    true | false) ;;
    *) refuse "'$f_gateway_api' is neither true nor false" 'INSTALL_GATEWAY_API' 'set it to true or false' ;;
  esac
  case $f_monitoring in
    default | true | false) ;;
    *) refuse "'$f_monitoring' is neither true nor false" 'INSTALL_MONITORING' 'set it to true or false' ;;
  esac
  # As the chart's values.schema.json has it: what it refuses, Helm refuses when everything else is in place. Also
  # keeps commas and braces, which mean something to `helm --set`, out of the name.
  case $f_cluster_name in
    '' | [!a-z0-9]* | *[!a-z0-9] | *[!a-z0-9.-]*)
      refuse "'$f_cluster_name' is no cluster name" 'PIPEOPS_CLUSTER_NAME or CLUSTER_NAME' 'use small letters, digits, dots and dashes, with a letter or digit at both ends' ;;
    *) if [ ${#f_cluster_name} -gt 63 ]; then refuse 'the cluster name is too long' 'PIPEOPS_CLUSTER_NAME or CLUSTER_NAME' 'use at most 63 characters'; fi ;;
  esac
  case $f_api_url in
    '') ;;
    *[!A-Za-z0-9:/._~-]*) refuse 'the address has characters no address has' 'PIPEOPS_API_URL' 'give something like https://api.pipeops.sh' ;;
    https:///* | https://) refuse 'the address names no host' 'PIPEOPS_API_URL' 'give something like https://api.pipeops.sh' ;;
    https://*/*[!/]*) refuse 'the address has a path' 'PIPEOPS_API_URL' 'give the host alone, like https://api.pipeops.sh' ;;
    https://*) ;;
    *) refuse 'the address does not begin with https://' 'PIPEOPS_API_URL' 'give something like https://api.pipeops.sh' ;;
  esac
  case $f_token in
    none)
      if [ "$f_terminal" = no ] && [ "$f_dry_run" = no ]; then
        refuse 'no token, and no terminal to ask for it' 'PIPEOPS_TOKEN_FILE or PIPEOPS_TOKEN' 'put the token into a file and name it in PIPEOPS_TOKEN_FILE'
      fi
      ;;
    invalid) refuse 'the token is empty or has characters no token has' 'PIPEOPS_TOKEN or PIPEOPS_TOKEN_FILE' 'copy it again from the control plane' ;;
    unreadable) refuse 'the token file cannot be read' 'PIPEOPS_TOKEN_FILE' 'check the path and who may read it' ;;
  esac
  if [ "$f_cluster_type" != auto ]; then
    case $f_want_context in
      ask | none) ;;
      *) refuse "context '$f_want_context' and a new $f_cluster_type cluster are both asked for" 'CLUSTER_TYPE and --context' 'give one of the two' ;;
    esac
  fi
  if [ "$f_monitoring" = true ] && [ "$f_chart_monitoring" = no ]; then
    refuse 'this release of the agent has no monitoring sidecar' 'INSTALL_MONITORING' 'leave INSTALL_MONITORING unset, or set it to false'
  fi
}

choose_target() {
  if [ -n "$f_recorded" ]; then
    use_recorded
    return
  fi
  case $f_want_context in
    ask) ;;
    none) f_context='' ;;
    *)
      use_named_context
      return
      ;;
  esac
  if [ "$f_cluster_type" != auto ]; then
    use_forced_type
    return
  fi
  if [ -n "$f_context" ] && [ "$f_context_reachable" = no ]; then
    add "note kubectl context '$f_context' does not answer; it is not considered"
    f_context=''
  fi
  if [ -n "$f_context" ]; then
    case $f_answer in
      yes) target=existing && add "use existing $f_context" ;;
      no) use_best_fit ;;
      *)
        if [ "$f_terminal" = yes ] || [ "$f_dry_run" = yes ]; then
          add "ask $f_context"
        else
          refuse "kubectl context '$f_context' exists, and there is no terminal to ask whether to use it" 'the existing cluster' "say it: --context '$f_context' to install into it, --new-cluster or CLUSTER_TYPE to make another"
        fi
        ;;
    esac
    return
  fi
  use_best_fit
}

use_recorded() {
  if [ "$f_recorded_alive" = no ]; then
    refuse "the cluster of the last install ($f_recorded) does not answer" 'the record of what was installed' 'start it, or run: sh install.sh uninstall --cluster-gone'
    return
  fi
  case $f_recorded in
    existing:*)
      if [ "$f_cluster_type" != auto ] || { [ "$f_want_context" != ask ] && [ "$f_want_context" != "${f_recorded#*:}" ]; }; then
        refuse "the agent is already installed in context '${f_recorded#*:}'" 'the record of what was installed' 'run: sh install.sh uninstall, then install again'
        return
      fi
      add "use existing ${f_recorded#*:}"
      ;;
    *)
      if [ "$f_want_context" != ask ] && [ "$f_want_context" != none ] || { [ "$f_cluster_type" != auto ] && [ "$f_cluster_type" != "$f_recorded" ]; }; then
        refuse "this script already made a $f_recorded cluster here" 'the record of what was installed' 'run: sh install.sh uninstall, then install again'
        return
      fi
      add "use $f_recorded"
      ;;
  esac
  target=${f_recorded%%:*}
}

use_named_context() {
  if [ "$f_kubectl" = no ]; then
    refuse 'kubectl is needed to reach an existing cluster' 'PATH' 'install kubectl, then run this again'
  elif [ "$f_context_reachable" = no ]; then
    refuse "kubectl context '$f_want_context' does not exist or does not answer" '--context or PIPEOPS_CONTEXT' 'see: kubectl config get-contexts, and check that the cluster runs'
  else
    target=existing
    add "use existing $f_want_context"
  fi
}

use_forced_type() {
  judge "$f_cluster_type"
  if [ -n "$impossible" ]; then
    refuse "$f_cluster_type cannot run here: $impossible" 'CLUSTER_TYPE' 'choose another kind, or leave CLUSTER_TYPE unset'
    return
  fi
  [ -z "$short" ] || add "note $f_cluster_type was asked for, although it wants more: $short"
  create "$f_cluster_type"
}

use_best_fit() {
  best='' best_score=0 reasons=''
  for candidate in k3s minikube k3d kind; do
    judge "$candidate"
    why=$impossible${impossible:+${short:+, }}$short
    if [ -n "$why" ]; then
      reasons="$reasons; $candidate: $why"
    else
      reasons="$reasons; $candidate: score $score"
      # Strictly better: a tie goes to the earlier one.
      if [ "$score" -gt "$best_score" ]; then best=$candidate best_score=$score; fi
    fi
  done
  if [ -z "$best" ]; then
    refuse "no kind of cluster can run here${reasons}" 'this machine' 'give it what is missing, or use an existing cluster with --context NAME'
    return
  fi
  add "note $best fits best${reasons}"
  create "$best"
}

# A machine sold with 2 GB shows a few percent less: the kernel keeps some. Hence these limits in MB.
MEMORY_512M=460 MEMORY_1G=940 MEMORY_2G=1880 MEMORY_4G=3760

# Sets score; impossible (why it cannot run here at all); short (what it lacks, which CLUSTER_TYPE may overrule).
judge() {
  score=0 impossible='' short=''
  in_box=no
  if [ "$f_container" != none ] || [ "$f_wsl" != no ]; then in_box=yes; fi
  [ "$f_wsl" != 1 ] || because 'WSL1 has no Linux kernel (use WSL2)'
  case $1 in
    k3s)
      [ "$f_os" = linux ] || because 'needs Linux'
      case $f_container in
        docker | podman | kubernetes) because "cannot run inside a $f_container container" ;;
        lxc) [ "$f_netns" = yes ] || because 'this LXC container may not make network namespaces' ;;
      esac
      [ "$f_root" = yes ] || because 'needs root'
      [ "$f_init" != none ] || because 'needs systemd or OpenRC'
      case $f_node in
        k3s) because 'k3s is already installed here (its context: KUBECONFIG=/etc/rancher/k3s/k3s.yaml, --context default)' ;;
        kubelet) because 'this machine is already a Kubernetes node' ;;
      esac
      [ "$f_port_6443" = free ] || because 'port 6443 is taken'
      wants $MEMORY_512M 1 2000
      score=50
      if [ "$in_box" = no ]; then more 30; fi
      if [ "$f_memory_mb" -ge $MEMORY_2G ]; then more 10; fi
      if [ "$f_cpus" -ge 2 ]; then more 5; fi
      if [ "$f_memory_mb" -ge $MEMORY_4G ] && [ "$f_cpus" -ge 2 ]; then more 15; fi
      if [ "$f_container" = lxc ]; then more 10; fi
      ;;
    minikube)
      if [ "$f_docker" != usable ] && [ -z "$f_vm_driver" ]; then
        because "needs Docker or a virtual machine driver$(docker_hint)"
      elif [ "$f_root" = yes ] && [ -z "$f_vm_driver" ]; then
        because "its Docker driver refuses root"
      fi
      wants $MEMORY_2G 2 20000
      score=40
      if [ "$f_os" = darwin ]; then more 40; fi
      if [ "$f_memory_mb" -ge $MEMORY_4G ] && [ "$f_memory_mb" -le 8192 ]; then more 10; fi
      if [ "$f_docker" = usable ]; then more 10; fi
      ;;
    k3d)
      [ "$f_docker" = usable ] || because "needs Docker$(docker_hint)"
      wants $MEMORY_1G 1 5000
      score=70
      if [ "$f_memory_mb" -ge $MEMORY_1G ] && [ "$f_memory_mb" -le 2048 ]; then more 20; fi
      if [ "$in_box" = yes ]; then more 25; fi
      ;;
    kind)
      [ "$f_docker" = usable ] || because "needs Docker$(docker_hint)"
      wants $MEMORY_2G 2 10000
      score=45
      if [ "$f_memory_mb" -ge $MEMORY_4G ] && [ "$f_cpus" -ge 2 ]; then more 15; fi
      if [ "$f_ci" = yes ]; then more 20; fi
      ;;
  esac
}
because() { impossible="$impossible${impossible:+, }$1"; }
lacks() { short="$short${short:+, }$1"; }
more() { score=$((score + $1)); }
docker_hint() { if [ "$f_docker" = silent ]; then printf ' (Docker is installed but does not answer)'; fi; }
wants() {
  if [ "$f_memory_mb" -lt "$1" ]; then lacks "needs $1 MB of memory, has $f_memory_mb"; fi
  if [ "$f_cpus" -lt "$2" ]; then lacks "needs $2 CPUs, has $f_cpus"; fi
  if [ "$f_disk_mb" -lt "$3" ]; then lacks "needs $3 MB of disk, has $f_disk_mb"; fi
}

# Istio is the gateway where it is installed: k3s's own Traefik would hold the same ports.
create() {
  target=$1
  traefik=on
  if [ "$f_gateway_api" = true ]; then traefik=off; fi
  case $1 in
    k3s)
      lxc=no
      if [ "$f_container" = lxc ]; then lxc=yes; fi
      add "create k3s traefik=$traefik lxc=$lxc"
      return
      ;;
  esac
  [ "$f_kubectl" = yes ] || add 'fetch kubectl'
  case $1 in
    k3d)
      [ "$f_k3d" = yes ] || add 'fetch k3d'
      add "create k3d traefik=$traefik"
      ;;
    kind)
      [ "$f_kind" = yes ] || add 'fetch kind'
      add 'create kind'
      ;;
    minikube)
      [ "$f_minikube" = yes ] || add 'fetch minikube'
      driver=$f_vm_driver
      if [ "$f_docker" = usable ] && [ "$f_root" = no ]; then driver=docker; fi
      # Half the processors and a bit less than half the memory: it shares the machine with somebody.
      half=$((f_cpus / 2)) share=$((f_memory_mb * 45 / 100))
      if [ "$half" -lt 2 ]; then half=2; fi
      if [ "$share" -lt 2048 ]; then share=2048; fi
      add "create minikube driver=$driver cpus=$half memory_mb=$share"
      ;;
  esac
}

plan_contents() {
  if [ "$f_agent" = present ]; then
    refuse "the agent is already in this cluster, and this script did not install it" "Helm release $RELEASE in namespace $NAMESPACE" 'bring it up to date with helm, or uninstall it with helm first'
    return
  fi
  # Helm would refuse to take them over, and an uninstall would delete an identity that is somebody's.
  if [ -n "$f_agent_objects" ]; then
    refuse "parts of an agent that this script did not install are in this cluster: $f_agent_objects" "namespace $NAMESPACE" "if that agent is no longer wanted, remove it: kubectl delete -n $NAMESPACE $f_agent_objects; to keep its identity, install with helm and agent.state.create=false"
    return
  fi
  [ "$f_helm" = yes ] || add 'fetch helm'
  if [ "$f_gateway_api" = true ]; then
    case $f_gateway_crds in
      present) add 'note the cluster has Gateway API definitions of its own; they stay as they are' && add 'gateway-api keep' ;;
      *) add 'gateway-api install' ;;
    esac
    # istiod asks for 2 GB by default, which a small machine does not have to give.
    requests=default
    if [ "$target" != existing ] && [ "$f_memory_mb" -lt $MEMORY_4G ]; then requests=small; fi
    case $f_istio in
      present) add 'note the cluster has an Istio of its own; it stays as it is' && add 'istio keep' ;;
      *) add "istio install requests=$requests" ;;
    esac
  fi
  stack=off
  if [ "$f_chart_monitoring" = yes ] && [ "$f_monitoring" != false ]; then stack=on; fi
  if [ "$f_chart_monitoring" = no ] && [ "$f_monitoring" = default ]; then
    add 'note this release of the agent has no monitoring sidecar; no monitoring stack is installed'
  fi
  way_out=''
  plan_proxy
  add "agent $f_cluster_name monitoring=$stack$way_out"
}

# The agent goes out as this script does. What it is told is on helm's command line: no password.
plan_proxy() {
  tell="tell it with --values FILE (agent.httpsProxy, or link.env and proxy.env with a secretKeyRef)"
  case $f_proxy in
    '') return ;;
    password) add "note HTTPS_PROXY holds a password, which no command line may: the agent is not told of that proxy; put the address into a Secret and $tell" ;;
    *://localhost | *://localhost[:/]* | *://127.* | *://0.0.0.0*)
      add "note HTTPS_PROXY is an address of this machine alone, which a pod cannot reach: the agent is not told of that proxy; where it needs one, $tell" ;;
    http:///* | https:///* | *[!A-Za-z0-9:/._~-]*) add "note HTTPS_PROXY is no address the agent understands; where it needs a proxy, $tell" ;;
    http://?* | https://?*)
      way_out=" proxy=$f_proxy"
      case $f_no_proxy in
        '') ;;
        *[!A-Za-z0-9:/.,*_-]*) add "note NO_PROXY has characters no list of hosts has; the agent gets none" ;;
        *) way_out="$way_out no_proxy=$f_no_proxy" ;;
      esac
      ;;
    *) add "note the agent speaks to HTTP proxies only, and HTTPS_PROXY is none; where it needs a proxy, $tell" ;;
  esac
}

# ── Looking: reads, never writes. PIPEOPS_SYSROOT is where tests put the machine's files. ───────────────

has() { command -v "$1" >/dev/null 2>&1; }
yes_no() { if "$@" >/dev/null 2>&1; then printf yes; else printf no; fi; }
fact() { printf '%s=%s\n' "$1" "$2"; }
# A program that hangs (Docker with a dead host) must not hang the installer; macOS may lack timeout(1).
within() {
  limit_seconds=$1
  shift
  if has timeout; then timeout "$limit_seconds" "$@"; else "$@"; fi
}

machine_facts() {
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  case $os in mingw* | msys* | cygwin*) os=windows ;; esac
  case $(uname -m) in
    x86_64 | amd64) arch=amd64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) arch=$(uname -m) ;;
  esac
  container=$(container_kind)
  fact os "$os"
  fact arch "$arch"
  fact container "$container"
  fact wsl "$(wsl_version)"
  fact root "$(yes_no test "$(id -u)" -eq 0)"
  fact init "$(init_kind)"
  if [ "$container" = lxc ]; then fact netns "$(yes_no unshare --net true)"; fi
  fact node "$(node_kind)"
  fact port_6443 "$(port_state)"
  fact cpus "$(cpu_count)"
  fact memory_mb "$(memory_mb)"
  fact disk_mb "$(df -Pk "$(disk_path)" | awk 'NR == 2 { print int($4 / 1024) }')"
  fact docker "$(docker_state)"
  fact vm_driver "$(vm_driver)"
  fact ci "$(yes_no is_ci)"
  fact terminal "$(yes_no has_terminal)"
  fact kubectl "$(yes_no has kubectl)"
  fact helm "$(yes_no has_helm)"
  fact k3d "$(yes_no has k3d)"
  fact kind "$(yes_no has kind)"
  fact minikube "$(yes_no has minikube)"
}

container_kind() {
  if [ -n "${KUBERNETES_SERVICE_HOST-}" ]; then say kubernetes
  elif [ -e "$SYSROOT/.dockerenv" ]; then say docker
  elif [ -e "$SYSROOT/run/.containerenv" ]; then say podman
  elif [ -e "$SYSROOT/dev/lxd/sock" ] || grep -q lxc "$SYSROOT/run/systemd/container" 2>/dev/null ||
    tr '\0' '\n' 2>/dev/null <"$SYSROOT/proc/1/environ" | grep -q '^container=lxc'; then say lxc
  else say none
  fi
}
# WSL1 calls itself Microsoft, WSL2 has a kernel of its own: microsoft-standard.
wsl_version() {
  case $(cat "$SYSROOT/proc/version" 2>/dev/null || true) in
    *microsoft-standard* | *WSL2*) say 2 ;;
    *Microsoft*) say 1 ;;
    *) say no ;;
  esac
}
init_kind() {
  if [ -d "$SYSROOT/run/systemd/system" ]; then say systemd
  elif [ -e "$SYSROOT/sbin/openrc-run" ]; then say openrc
  else say none
  fi
}
node_kind() {
  if [ -e "$K3S_BIN_DIR/k3s" ] || [ -d "$SYSROOT/etc/rancher/k3s" ] || [ -d "$SYSROOT/var/lib/rancher/k3s" ]; then say k3s
  elif [ -d "$SYSROOT/var/lib/kubelet" ] || [ -e "$SYSROOT/etc/kubernetes/kubelet.conf" ]; then say kubelet
  else say none
  fi
}
# 6443 is 192B in hexadecimal, and 0A is a listening socket.
port_state() {
  if cat "$SYSROOT/proc/net/tcp" "$SYSROOT/proc/net/tcp6" 2>/dev/null | awk '$4 == "0A" && $2 ~ /:192B$/ { found = 1 } END { exit !found }'; then say taken; else say free; fi
}
cpu_count() { nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || say 1; }
# The smaller of the machine's memory and this container's limit.
memory_mb() {
  if [ -r "$SYSROOT/proc/meminfo" ]; then
    limit=$(cat "$SYSROOT/sys/fs/cgroup/memory.max" 2>/dev/null || cat "$SYSROOT/sys/fs/cgroup/memory/memory.limit_in_bytes" 2>/dev/null || say max)
    awk -v limit="$limit" '/^MemTotal:/ { mb = int($2 / 1024) } END { if (limit + 0 > 0 && limit / 1048576 < mb) mb = int(limit / 1048576); print mb + 0 }' "$SYSROOT/proc/meminfo"
  else
    sysctl -n hw.memsize 2>/dev/null | awk '{ print int($1 / 1048576) }'
  fi
}
disk_path() { if [ -d /var/lib ]; then say /var/lib; else say /; fi; }
docker_state() {
  if ! has docker; then say absent
  elif within 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; then say usable
  else say silent
  fi
}
# Only those that minikube starts by itself, without further set-up.
vm_driver() {
  case $(uname -s) in
    Darwin) if has hyperkit; then say hyperkit; elif has vfkit; then say vfkit; elif has qemu-system-x86_64 || has qemu-system-aarch64; then say qemu2; elif has VBoxManage; then say virtualbox; fi ;;
    *) if has VBoxManage; then say virtualbox; fi ;;
  esac
}
is_ci() { case ${CI-} in '' | 0 | false) return 1 ;; esac; }
# The script may arrive on standard input: what counts is a controlling terminal. CI may have one, but nobody at it.
has_terminal() { ! is_ci && (: <"$TTY") 2>/dev/null; }
# 3.14 is the first that brings a release up to date without forgetting its values.
has_helm() { case $(helm version --short 2>/dev/null) in v3.1[4-9]* | v3.[2-9][0-9]* | v[4-9]*) ;; *) return 1 ;; esac; }

request_facts() {
  fact cluster_type "${CLUSTER_TYPE:-auto}"
  fact want_context "$want_context"
  fact gateway_api "$(truth "${INSTALL_GATEWAY_API-}" true)"
  fact monitoring "$(truth "${INSTALL_MONITORING-}" default)"
  fact chart_monitoring "$CHART_HAS_MONITORING"
  fact cluster_name "${PIPEOPS_CLUSTER_NAME:-${CLUSTER_NAME:-$(recorded_name)}}"
  fact token "$(token_state)"
  fact api_url "${PIPEOPS_API_URL-}"
  proxy_facts
  fact dry_run "$dry_run"
}
# Never the address when somebody's password is in it. Without a scheme it is what curl takes it for: http.
proxy_facts() {
  proxy=$(printf '%s' "${HTTPS_PROXY:-${https_proxy-}}" | tr -d ' \t\n')
  case $proxy in
    '') return ;;
    *@*) proxy=password ;;
    *://*) ;;
    *) proxy=http://$proxy ;;
  esac
  fact proxy "$proxy"
  fact no_proxy "$(printf '%s' "${NO_PROXY:-${no_proxy-}}" | tr -d ' \t\n')"
}
truth() {
  case $1 in
    '') say "$2" ;;
    true | TRUE | yes | 1) say true ;;
    false | FALSE | no | 0) say false ;;
    *) say "$1" ;;
  esac
}

context_facts() {
  if [ -n "$recorded" ]; then
    reach_recorded
    fact recorded "$recorded"
    fact recorded_alive "$(yes_no answers "$context")"
    return
  fi
  has kubectl || return 0
  case $want_context in
    none) return 0 ;;
    ask) context=$(kubectl config current-context 2>/dev/null || true) ;;
    *) context=$want_context ;;
  esac
  [ -n "$context" ] || return 0
  fact context "$context"
  fact context_reachable "$(yes_no answers "$context")"
}
answers() { kubectl --context "$1" --request-timeout=5s get --raw /version; }

cluster_facts() {
  definitions=$(kube get customresourcedefinitions -o name) || return 1
  fact gateway_crds "$(owner "$(printf '%s\n' "$definitions" | grep -c '/gateways\.gateway\.networking\.k8s\.io$')" "object $CRD/gateways.gateway.networking.k8s.io")"
  fact istio "$(owner "$(printf '%s\n' "$definitions" | grep -c '\.istio\.io$')" 'release istio-system istiod')"
  # Helm keeps a release in Secrets with these labels; helm itself may not be here yet.
  fact agent "$(owner "$(kube get secrets -n "$NAMESPACE" -l "owner=helm,name=$RELEASE" -o name | grep -c .)" "release $NAMESPACE $RELEASE")"
  strangers=$(agent_strangers) || return 1
  fact agent_objects "$strangers"
}
# What carries the agent's names without being in the record: a kubectl-applied agent, or what is left of one.
agent_strangers() {
  set --
  remembered "release $NAMESPACE $RELEASE" || set -- "$@" "deployment.apps/$RELEASE" "serviceaccount/$RELEASE"
  remembered "identity $NAMESPACE" || set -- "$@" "configmap/$STATE_CONFIGMAP" "secret/$STATE_SECRET"
  remembered "secret $NAMESPACE $TOKEN_SECRET" || set -- "$@" "secret/$TOKEN_SECRET"
  [ $# -gt 0 ] || return 0
  there=$(kube get "$@" -n "$NAMESPACE" --ignore-not-found -o name) || return 1
  printf '%s\n' "$there" | tr '\n' ' ' | sed 's/ *$//'
}
owner() { if remembered "$2"; then say ours; elif [ "$1" -gt 0 ]; then say present; else say absent; fi; }

# ── The token: from the environment, a file or a prompt, to kubectl's standard input. Nowhere else. ──

token_state() {
  if [ -n "$token" ]; then
    case $token in *[!A-Za-z0-9._~+/=-]*) say invalid ;; *) say given ;; esac
  elif [ -n "${PIPEOPS_TOKEN_FILE-}" ]; then
    if [ ! -r "$PIPEOPS_TOKEN_FILE" ]; then say unreadable; else say invalid; fi
  elif remembered "secret $NAMESPACE $TOKEN_SECRET"; then say kept
  else say none
  fi
}
take_token() {
  token=${PIPEOPS_TOKEN-}
  unset PIPEOPS_TOKEN # programs started from here never see it
  if [ -z "$token" ] && [ -r "${PIPEOPS_TOKEN_FILE-}" ]; then
    IFS= read -r token <"$PIPEOPS_TOKEN_FILE" || true # a last line without a newline is a line too
  fi
}
ask_for_token() {
  printf 'Token of this agent (not shown): ' >"$TTY"
  echo_off=yes
  stty -echo <"$TTY"
  IFS= read -r token <"$TTY" || true
  stty echo <"$TTY"
  echo_off=no
  printf '\n' >"$TTY"
  [ "$(token_state)" = given ] || die 'the token is empty or has characters no token has' 'what was typed' 'copy it again from the control plane'
}
# `echo` into a pipe: a here-document is a file on the disk in bash before 5.1 (macOS), and a shell that has no
# built-in printf (mksh) would show the token in that program's arguments. Every shell has echo, and the token has
# no character that echo would change.
secret_manifest() {
  echo 'apiVersion: v1'
  echo 'kind: Secret'
  echo 'metadata:'
  echo "  name: $TOKEN_SECRET"
  echo "  namespace: $NAMESPACE"
  echo 'type: Opaque'
  echo 'stringData:'
  echo "  token: \"$token\""
}

# ── The record: one line for each thing added, written before the thing is made. ────────────────────

CRD=customresourcedefinition.apiextensions.k8s.io
remember() { remembered "$*" || printf '%s\n' "$*" >>"$record"; }
remembered() { grep -qxF -e "$*" "$record" 2>/dev/null; }
forget() {
  grep -vxF -e "$*" "$record" >"$record.new" || true
  mv "$record.new" "$record"
}
recorded_cluster() { sed -n 's/^cluster existing /existing:/p; t
s/^cluster //p' "$record" 2>/dev/null; }

recorded_name() {
  name=$(sed -n 's/^name //p' "$record" 2>/dev/null || true)
  say "${name:-default-cluster}"
}

# Sets context (and KUBECONFIG) to the cluster that the record speaks of.
reach_recorded() {
  kubeconfig=$(sed -n 's/^kubeconfig //p' "$record")
  if [ -n "$kubeconfig" ]; then export KUBECONFIG="$kubeconfig"; fi
  case $recorded in
    existing:*) context=${recorded#existing:} ;;
    *) context=$(context_of "$recorded") ;;
  esac
}
context_of() {
  case $1 in
    k3s) say default ;;
    k3d) say "k3d-$CLUSTER" ;;
    kind) say "kind-$CLUSTER" ;;
    minikube) say "$CLUSTER" ;;
  esac
}
kube() { kubectl --context "$context" "$@"; }
helm_in() { helm --kube-context "$context" "$@"; }

# ── Downloads: a file appears under its name only when its SHA-256 is the expected one. ─────────────

# Where the expected one comes from:
# - kept here, and found equal in several independent projects: kind, the Gateway API, k3d, helm;
# - kept here, and found in one project only: Istio's two charts;
# - kept here, and compared with nothing else: kubectl for Linux;
# - read from the publisher, beside the file (it shows a broken download, not a publisher who was broken into):
#   k3s, its install script, minikube, kubectl for macOS, and every version that is not the default one, save the
#   Gateway API's, whose checksum nobody publishes and PIPEOPS_GATEWAY_API_SHA256 must give.
# Images are not downloaded here: kind's node image is named by its digest, k3d's goes by its tag, unchecked, as
# do the images that the charts name. So does the agent's chart in its registry, unless PIPEOPS_CHART ends in @sha256:….
pinned() {
  case $1 in
    kubectl-v1.34.3-linux-amd64) say ab60ca5f0fd60c1eb81b52909e67060e3ba0bd27e55a8ac147cbc2172ff14212 ;;
    kubectl-v1.34.3-linux-arm64) say 46913a7aa0327f6cc2e1cc2775d53c4a2af5e52f7fd8dacbfbfd098e757f19e9 ;;
    helm-v4.3.0-linux-amd64) say 86584a54def73570558f66f5111cc53dfed56689637ae32c1201205d494f54fb ;;
    helm-v4.3.0-linux-arm64) say 31c5794dd55c66a51e6b7d2e2ac7a114ae8b1de41ff1d9ba51748ac973b06a08 ;;
    helm-v4.3.0-darwin-amd64) say 347a784877e0e20eac865e8d1c36a80f6bb0861d6f29abd34defb6570ef95d92 ;;
    helm-v4.3.0-darwin-arm64) say d3870437e1e95b67f8edbde964156c84a26503f560821d40c542441658934fba ;;
    k3d-v5.9.0-linux-amd64) say 06d8f25bc3a971c4eb29e0ff08429b180402db0f4dec838c9eac427e296800a0 ;;
    k3d-v5.9.0-linux-arm64) say 03cde5cf23e6e8e67de5a039ecf26e5b85aca82fba3e5d13dadf904cd218a250 ;;
    k3d-v5.9.0-darwin-amd64) say b4aabc37534f95b9c764e7823f2df923f50d57600837aa60a06266cce47db732 ;;
    k3d-v5.9.0-darwin-arm64) say fe106541d5d0a3f18debcd4d432a16f8c0ce3e6ddc06f8fbb6f696a122313e00 ;;
    kind-v0.33.0-linux-amd64) say aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d ;;
    kind-v0.33.0-linux-arm64) say 20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2 ;;
    kind-v0.33.0-darwin-amd64) say 5a99f26f57246dc9319dd294803313197a0f34d33c525b3ea8b655db5916ece0 ;;
    kind-v0.33.0-darwin-arm64) say 0c8c7dbe5e23594a198b786c4bc13dacc101fa6196b0cb0b23a1ca44e61f4b4f ;;
    gateway-api-v1.5.1) say 64ec76609a6ac885e0405dea79ca509c229fa019d342f0857aa8b6bdc8b8ba92 ;;
    istio-base-1.30.0) say aef833a87ed0022114c5759fe3ec6af7862c2a224d4c60e40ebaaef825e1e39d ;;
    istiod-1.30.0) say 7a34c7688da34107841e9585b226b94357769749f82502fdc4fb43a6bc3db320 ;;
    "gateway-api-${PIPEOPS_GATEWAY_API_VERSION:-none}") say "${PIPEOPS_GATEWAY_API_SHA256-}" ;;
  esac
}

# Sets id, url, and sums: where the publisher keeps the checksum (empty: nowhere).
locate() {
  os=$(uname -s | tr '[:upper:]' '[:lower:]')
  case $(uname -m) in x86_64 | amd64) arch=amd64 ;; *) arch=arm64 ;; esac
  github=https://github.com charts=https://istio-release.storage.googleapis.com/charts
  tag=$(printf '%s' "$K3S_VERSION" | sed 's/+/%2B/')
  case $1 in
    kubectl) at "kubectl-$KUBECTL_VERSION-$os-$arch" "https://dl.k8s.io/release/$KUBECTL_VERSION/bin/$os/$arch/kubectl" .sha256 ;;
    helm) at "helm-$HELM_VERSION-$os-$arch" "https://get.helm.sh/helm-$HELM_VERSION-$os-$arch.tar.gz" .sha256sum ;;
    kind) at "kind-$KIND_VERSION-$os-$arch" "$github/kubernetes-sigs/kind/releases/download/$KIND_VERSION/kind-$os-$arch" .sha256sum ;;
    minikube) at "minikube-$MINIKUBE_VERSION-$os-$arch" "$github/kubernetes/minikube/releases/download/$MINIKUBE_VERSION/minikube-$os-$arch" .sha256 ;;
    k3d) at "k3d-$K3D_VERSION-$os-$arch" "$github/k3d-io/k3d/releases/download/$K3D_VERSION/k3d-$os-$arch" /checksums.txt ;;
    k3s) at "k3s-$K3S_VERSION-$arch" "$github/k3s-io/k3s/releases/download/$tag/k3s$(test "$arch" = amd64 || say "-$arch")" "/sha256sum-$arch.txt" ;;
    k3s-install) at "k3s-install-$K3S_VERSION" "https://raw.githubusercontent.com/k3s-io/k3s/$tag/install.sh" .sha256sum ;;
    gateway-api) at "gateway-api-$GATEWAY_API_VERSION" "$github/kubernetes-sigs/gateway-api/releases/download/$GATEWAY_API_VERSION/experimental-install.yaml" '' ;;
    istio-base) at "istio-base-$ISTIO_VERSION" "$charts/base-$ISTIO_VERSION.tgz" /index.yaml ;;
    istiod) at "istiod-$ISTIO_VERSION" "$charts/istiod-$ISTIO_VERSION.tgz" /index.yaml ;;
  esac
}
# at ID URL SUMS: the sums are a file beside the download, or the download's name and an ending.
at() {
  id=$1
  url=$2
  case $3 in
    '') sums='' ;;
    /*) sums=${2%/*}$3 ;;
    *) sums=$2$3 ;;
  esac
}

download() {
  if has curl; then
    curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --retry 3 --connect-timeout 15 --max-time 900 --output "$2" "$1"
  elif has wget; then
    wget -q -T 60 -O "$2" "$1"
  else
    die 'neither curl nor wget is here' 'PATH' 'install one of them'
  fi || die 'a download failed' "$1" 'check that this machine may reach that address (HTTPS_PROXY is honoured), then run this again'
}
sha256_of() {
  if has sha256sum; then sha256sum "$1"
  elif has shasum; then shasum -a 256 "$1"
  else openssl dgst -sha256 -r "$1"
  fi | awk '{ print $1 }'
}
# A publisher's file is one bare checksum, `checksum  name` lines, or the index of a chart repository.
published() {
  awk -v name="$2" '
    NF == 1 && length($1) == 64 { print $1; exit }
    { file = $2; sub(/^\*/, "", file); sub(/^.*\//, "", file) }
    file == name && length($1) == 64 { print $1; exit }
    $(NF - 1) == "digest:" { digest = $NF }
    file == name && digest != "" { print digest; exit }' "$1"
}
# download_verified NAME FILE
download_verified() {
  locate "$1"
  expected=$(pinned "$id") said_by='this script'
  download "$url" "$2.part"
  if [ -z "$expected" ] && [ -n "$sums" ]; then
    download "$sums" "$2.sums"
    expected=$(published "$2.sums" "${url##*/}") said_by=$sums
    rm -f "$2.sums"
  fi
  actual=$(sha256_of "$2.part")
  if [ -z "$expected" ] || [ "$expected" != "$actual" ]; then
    rm -f "$2.part"
    [ -n "$expected" ] || die 'no checksum is known for this download' "$url" 'use the default version, or give the checksum (see --help)'
    die "the checksum of a download is wrong: expected $expected (from $said_by), got $actual" "$url" 'do not use that file; try again, and if it stays so, tell the publisher'
  fi
  mv "$2.part" "$2"
}

fetch_tool() {
  step "fetching $1"
  mkdir -p "$bin"
  remember "file $bin/$1"
  download_verified "$1" "$tmp/$1"
  if [ "$1" = helm ]; then
    mv "$tmp/helm" "$tmp/helm.tar.gz"
    tar -xzf "$tmp/helm.tar.gz" -C "$tmp" "$os-$arch/helm"
    mv "$tmp/$os-$arch/helm" "$tmp/helm"
  fi
  chmod 755 "$tmp/$1"
  mv "$tmp/$1" "$bin/$1"
}

# ── Doing ───────────────────────────────────────────────────────────────────────────────────────────

# Reads the plan on descriptor 3, so that no program in between eats it.
carry_out() {
  while read -r verb first rest <&3; do
    case $verb in
      note | '') ;;
      fetch) fetch_tool "$first" ;;
      create) create_cluster "$first" "$rest" ;;
      use) use_cluster "$first" "$rest" ;;
      gateway-api) [ "$first" = keep ] || install_gateway_api ;;
      istio) [ "$first" = keep ] || install_istio "${rest#requests=}" ;;
      agent) install_agent "$first" "$rest" ;;
      *) die "a step this script does not know: $verb" 'the plan' 'report this' ;;
    esac
  done 3<<EOF
$1
EOF
}

# setting NAME LIST: the value of NAME in a list of NAME=VALUE words.
setting() {
  set -f # a star in it is a star
  for word in $2; do
    case $word in "$1="*) say "${word#*=}" ;; esac
  done
}

use_cluster() {
  [ "$1" = existing ] || return 0
  context=$2
  # Before anything is added: without these lines the rest could not be found again.
  if [ -n "${KUBECONFIG-}" ]; then remember "kubeconfig $KUBECONFIG"; fi
  remember "cluster existing $context"
}

create_cluster() {
  step "creating a $1 cluster"
  context=$(context_of "$1")
  if [ "$1" = k3s ]; then KUBECONFIG=$SYSROOT/etc/rancher/k3s/k3s.yaml; else KUBECONFIG=$home/kubeconfig; fi
  export KUBECONFIG
  if cluster_exists "$1"; then
    die "a $1 cluster named $CLUSTER exists, and this script did not make it" "$1" "use it with --context $context, or delete it first"
  fi
  # In this order: they are undone backwards.
  if [ "$1" = k3s ]; then remember "file $K3S_BIN_DIR/k3s"; fi
  remember "kubeconfig $KUBECONFIG"
  remember "cluster $1"
  # With the umask of whoever started this: a cluster's own files are not ours to hide.
  umask "$usual_umask"
  "create_$1" "$2"
  umask 077
  if [ "$1" = k3d ]; then k3d kubeconfig get "$CLUSTER" >"$KUBECONFIG"; fi
  wait_for_nodes
}
cluster_exists() {
  case $1 in
    k3s) return 1 ;; # a k3s that is already here never reaches this point
    k3d) k3d cluster get "$CLUSTER" >/dev/null 2>&1 ;;
    kind) kind get clusters 2>/dev/null | grep -qx "$CLUSTER" ;;
    minikube) minikube profile list --output json 2>/dev/null | grep -q "\"Name\":\"$CLUSTER\"" ;;
  esac
}

create_k3s() {
  options=$1
  set -- server --write-kubeconfig-mode=600
  if [ "$(setting traefik "$options")" = off ]; then set -- "$@" --disable=traefik; fi
  if [ "$(setting lxc "$options")" = yes ]; then
    set -- "$@" --disable=servicelb --flannel-backend=host-gw --kubelet-arg=feature-gates=KubeletInUserNamespace=true
  fi
  download_verified k3s "$tmp/k3s"
  download_verified k3s-install "$tmp/k3s-install.sh"
  mkdir -p "$K3S_BIN_DIR"
  chmod 755 "$tmp/k3s"
  mv "$tmp/k3s" "$K3S_BIN_DIR/k3s"
  # Its own installer writes the service, the SELinux policy and the script that removes it all again.
  (
    bin_dir=$K3S_BIN_DIR
    forget_k3s_settings
    INSTALL_K3S_SKIP_DOWNLOAD=binary INSTALL_K3S_BIN_DIR=$bin_dir sh "$tmp/k3s-install.sh" "$@"
  )
}
# The user's own would make another k3s: under a name that uninstall would not find, or an agent of another server.
forget_k3s_settings() {
  for setting in $(env | sed -n -e 's/^\(K3S_[A-Za-z0-9_]*\)=.*/\1/p' -e 's/^\(INSTALL_K3S_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$setting"
  done
}
create_k3d() {
  image=rancher/k3s:$(printf '%s' "$K3S_VERSION" | tr + -)
  options=$1
  set -- --image "$image" --kubeconfig-update-default=false --wait --timeout 300s
  if [ "$(setting traefik "$options")" = off ]; then set -- "$@" --k3s-arg '--disable=traefik@server:*'; fi
  k3d cluster create "$CLUSTER" "$@"
}
create_kind() { kind create cluster --name "$CLUSTER" --image "$KIND_NODE_IMAGE" --kubeconfig "$KUBECONFIG" --wait 300s; }
create_minikube() {
  minikube start --profile "$CLUSTER" --kubernetes-version "$KUBERNETES_VERSION" --driver "$(setting driver "$1")" \
    --cpus "$(setting cpus "$1")" --memory "$(setting memory_mb "$1")mb" --wait all --wait-timeout 6m
}
wait_for_nodes() {
  tries=60
  until [ -n "$(kube get nodes -o name 2>/dev/null)" ]; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || die 'no node appeared within two minutes' "context $context" 'look at the cluster, then run: sh install.sh uninstall'
    sleep 2
  done
  kube wait --for=condition=Ready nodes --all --timeout=300s
}

ensure_namespace() {
  found=$(kube get namespace "$1" --ignore-not-found -o name)
  [ -z "$found" ] || return 0
  remember "namespace $1"
  kube create namespace "$1"
}
# Remembers the cluster-wide definitions in a manifest: Helm and kubectl leave them behind.
remember_definitions() {
  names=$(kube create --dry-run=client --validate=false -f "$1" -o name) || die 'a manifest was refused' "${1##*/}, context $context" 'see the message above'
  for name in $names; do
    case $name in "$CRD"/* | validatingadmissionpolic*) remember "object $name" ;; esac
  done
}

install_gateway_api() {
  step "installing the Gateway API $GATEWAY_API_VERSION (experimental channel: TCP and UDP routes)"
  download_verified gateway-api "$tmp/gateway-api.yaml"
  remember_definitions "$tmp/gateway-api.yaml"
  # Server-side: the definitions are too large for the annotation that a plain apply leaves.
  kube apply --server-side -f "$tmp/gateway-api.yaml"
}

install_istio() {
  step "installing Istio $ISTIO_VERSION"
  download_verified istio-base "$tmp/istio-base.tgz"
  download_verified istiod "$tmp/istiod.tgz"
  ensure_namespace istio-system
  helm_in template istio-base "$tmp/istio-base.tgz" --namespace istio-system --include-crds >"$tmp/istio-base.yaml"
  remember_definitions "$tmp/istio-base.yaml"
  remember 'release istio-system istio-base'
  helm_in upgrade --install istio-base "$tmp/istio-base.tgz" --namespace istio-system --wait --timeout 5m >/dev/null
  # Undone after istiod, which would make them again.
  remember_gateway_classes
  remember 'copies istio-ca-root-cert'
  remember 'release istio-system istiod'
  requests=$1
  set -- --set-string pilot.env.PILOT_ENABLE_ALPHA_GATEWAY_API=true
  if [ "$requests" = small ]; then
    set -- "$@" --set pilot.resources.requests.cpu=50m --set pilot.resources.requests.memory=256Mi
  fi
  helm_in upgrade --install istiod "$tmp/istiod.tgz" --namespace istio-system --wait --timeout 10m "$@" >/dev/null
}

# The gateway classes that istiod makes by itself, with their controllers (istio/pilot/pkg/config/kube/gatewaycommon).
istiod_classes() {
  say 'istio istio.io/gateway-controller
istio-remote istio.io/unmanaged-gateway
istio-waypoint istio.io/mesh-controller
istio-east-west istio.io/eastwest-controller'
}
# Only those that nobody has yet: a class of that name may be the user's.
remember_gateway_classes() {
  kube wait --for=condition=Established "$CRD/gatewayclasses.gateway.networking.k8s.io" --timeout=60s >/dev/null
  for class in $(istiod_classes | awk '{ print $1 }'); do
    found=$(kube get gatewayclass "$class" --ignore-not-found -o name)
    [ -n "$found" ] || remember "class $class"
  done
}

install_agent() {
  step "installing the agent as '$1'"
  ensure_namespace "$NAMESPACE"
  apply_token
  # So that a later run without a name does not give it another one.
  remembered "name $1" || forget "name $(recorded_name)"
  remember "name $1"
  chart=$(agent_chart)
  # What somebody set on the release since stays: who may come through, above all.
  options=$2
  set -- --reset-then-reuse-values --set-string "agent.cluster.name=$1" --set "agent.autoInstallComponents=$(if_on "$(setting monitoring "$options")")"
  set -- "$@" --set-string "agent.pipeops.existingSecret=$TOKEN_SECRET"
  if [ -n "${PIPEOPS_API_URL-}" ]; then set -- "$@" --set-string "agent.pipeops.apiUrl=$PIPEOPS_API_URL"; fi
  proxy=$(setting proxy "$options")
  if [ -n "$proxy" ]; then
    # A bare comma would begin the next value.
    set -- "$@" --set-string "agent.httpsProxy=$proxy"
    hosts=$(setting no_proxy "$options" | sed 's/,/\\,/g')
    if [ -n "$hosts" ]; then set -- "$@" --set-string "agent.noProxy=$hosts"; fi
  fi
  if [ -n "$values" ]; then set -- "$@" --values "$values"; fi
  case $chart in
    *@sha256:*) ;;
    oci://*) set -- "$@" --version "${PIPEOPS_CHART_VERSION:-$PUBLISHED_CHART_VERSION}" ;;
  esac
  remember "identity $NAMESPACE"
  remember "release $NAMESPACE $RELEASE"
  helm_in upgrade --install "$RELEASE" "$chart" --namespace "$NAMESPACE" --wait --timeout 5m "$@" ||
    die 'helm could not install the agent, or it did not become ready within five minutes' "the message above; release $RELEASE in namespace $NAMESPACE, context $context" "if its pod runs, ask it why: kubectl --context $context -n $NAMESPACE logs deployment/$RELEASE --all-containers; then run this again"
}
if_on() { if [ "$1" = on ]; then say true; else say false; fi; }
# The chart beside this file, where there is one: a script from a pipe has no place of its own.
agent_chart() {
  case $0 in
    */install.sh) beside=${0%/*}/chart ;;
    install.sh) beside=./chart ;;
    *) beside='' ;;
  esac
  if [ -n "${PIPEOPS_CHART-}" ]; then say "$PIPEOPS_CHART"
  elif [ -n "$beside" ] && [ -f "$beside/Chart.yaml" ]; then say "$beside"
  else say "$PUBLISHED_CHART"
  fi
}
apply_token() {
  [ -n "$token" ] || return 0 # the Secret of the last install stays
  found=$(kube get secret "$TOKEN_SECRET" -n "$NAMESPACE" --ignore-not-found -o name)
  if [ -n "$found" ] && ! remembered "secret $NAMESPACE $TOKEN_SECRET"; then
    die "Secret $TOKEN_SECRET exists, and this script did not make it" "namespace $NAMESPACE" 'delete it, or install with helm and agent.pipeops.existingSecret'
  fi
  remember "secret $NAMESPACE $TOKEN_SECRET"
  # Server-side: a plain apply would copy the token into an annotation.
  secret_manifest | kube apply --server-side --force-conflicts --field-manager=pipeops-installer -f -
}

# ── Undoing: the record backwards. What others use by now stays, and is named. ──────────────────────

uninstall() {
  if [ ! -s "$record" ]; then
    say 'Nothing to remove: this script has installed nothing here.'
    return
  fi
  reach_recorded
  explain_removal
  [ "$dry_run" = no ] || return 0
  confirm_removal
  made_cluster=no
  case $recorded in '' | existing:*) ;; *) [ "$keep_cluster" = yes ] || made_cluster=yes ;; esac
  sed '1!G;h;$!d' "$record" >"$tmp/backwards"
  kept=0 stuck=0
  while read -r kind rest <&3; do
    # Programs, the way to the cluster and its name are needed again while anything is left.
    case $kind in file | kubeconfig | cluster | name) [ $((kept + stuck)) -eq 0 ] || continue ;; esac
    outcome=0
    undo "$kind" "$rest" || outcome=$?
    case $outcome in
      0) forget "$kind $rest" ;;
      2) kept=$((kept + 1)) ;;
      *) stuck=$((stuck + 1)) ;;
    esac
  done 3<"$tmp/backwards"
  if [ "$stuck" -gt 0 ]; then
    warn "$stuck thing(s) stay, for the reasons above, and the record keeps them: run this again to remove them"
    explained=yes
    exit 3
  fi
  if [ "$kept" -gt 0 ]; then
    say 'Removed all but what you asked to keep; the record keeps that: run this again to remove it.'
    return
  fi
  rm -f "$record" "$home/kubeconfig"
  rmdir "$bin" 2>/dev/null || true
  say 'Removed all that this script had added.'
}

explain_removal() {
  say 'This removes:'
  if [ "$cluster_gone" = yes ]; then say '  what is on this machine; the cluster counts as gone'; fi
  case $recorded in
    '' | existing:*) ;;
    *) if [ "$keep_cluster" = no ]; then say "  the $recorded cluster that this script made, with everything in it, whoever put it there"; fi ;;
  esac
  kept_kinds='cluster|kubeconfig|name'
  if [ "$keep_state" = yes ]; then kept_kinds="$kept_kinds|identity|namespace $NAMESPACE"; fi
  if [ "$keep_cluster" = yes ]; then kept_kinds="$kept_kinds|file"; fi
  grep -vE "^($kept_kinds)( |\$)" "$record" | sed 's/^/  /' || true
}
confirm_removal() {
  [ "$assume_yes" = no ] || return 0
  has_terminal || die 'no terminal to ask whether to remove this' 'uninstall' 'add --yes'
  ask 'Remove it?' || die 'stopped; nothing was changed' 'your answer' 'run it again when you are sure'
}

# 0: gone, or never made; 1: it stays, and why has been said; 2: it is kept as asked.
undo() {
  case $1 in
    namespace | object | release | identity | secret | class | copies)
      # Goes with the cluster that holds it.
      if [ "$made_cluster" = yes ] || [ "$cluster_gone" = yes ]; then return 0; fi
      ;;
  esac
  case $1 in
    file) rm -f "$2" ;;
    kubeconfig | name) return 0 ;;
    cluster) undo_cluster "$2" ;;
    namespace) undo_namespace "$2" ;;
    object) undo_object "$2" ;;
    secret) kube delete secret "${2#* }" -n "${2%% *}" --ignore-not-found || stays "Secret ${2#* }" 'the cluster does not answer' ;;
    identity) undo_identity "$2" ;;
    class) undo_class "$2" ;;
    copies) undo_copies "$2" ;;
    release) undo_release "${2%% *}" "${2#* }" ;;
    *) stays "'$1 $2'" 'this version of the script does not know what that is' ;;
  esac
}
stays() {
  warn "$1 stays: $2"
  return 1
}

undo_cluster() {
  case $1 in existing\ *) return 0 ;; esac
  if [ "$keep_cluster" = yes ]; then
    say "The $1 cluster stays, as asked: export KUBECONFIG=${KUBECONFIG-}"
    return 2
  fi
  step "deleting the $1 cluster"
  case $1 in
    k3s) if [ -x "$K3S_BIN_DIR/k3s-uninstall.sh" ]; then (k3s_uninstall=$K3S_BIN_DIR/k3s-uninstall.sh && forget_k3s_settings && "$k3s_uninstall"); fi ;;
    k3d) k3d cluster delete "$CLUSTER" ;;
    kind) kind delete cluster --name "$CLUSTER" --kubeconfig "$KUBECONFIG" ;;
    minikube) minikube delete --profile "$CLUSTER" ;;
  esac || stays "the $1 cluster" 'it could not be deleted'
}

undo_release() {
  found=$(kube get secrets -n "$1" -l "owner=helm,name=$2" -o name) || stays "release $2" 'the cluster does not answer' || return 1
  if [ -n "$found" ]; then
    # Its webhook and its account serve every istiod in the cluster.
    if [ "$2" = istio-base ]; then
      others=$(other_istiods) || stays "release $2" 'the cluster does not answer' || return 1
      [ -z "$others" ] || stays "release $2" "another istiod uses it: $others" || return 1
    fi
    step "removing $2"
    # The chart keeps the identity only when its release says so.
    if [ "$2" = "$RELEASE" ] && [ "$keep_state" = yes ]; then
      helm_in upgrade "$2" "$(agent_chart)" --namespace "$1" --reset-then-reuse-values --set agent.state.keep=true >/dev/null ||
        stays "release $2" 'it could not be told to keep its identity' || return 1
    fi
    # Foreground: the pods are gone when it returns, so that what is left in the namespace is somebody else's.
    helm_in uninstall "$2" --namespace "$1" --wait --cascade foreground --timeout 5m || stays "release $2" 'helm could not remove it' || return 1
  fi
}
undo_identity() {
  if [ "$keep_state" = yes ]; then
    say "The agent's identity stays in namespace $1, as asked."
    return 2
  fi
  kube delete configmap "$STATE_CONFIGMAP" -n "$1" --ignore-not-found || stays "the agent's identity" 'it could not be deleted' || return 1
  kube delete secret "$STATE_SECRET" -n "$1" --ignore-not-found || stays "the agent's identity" 'it could not be deleted'
}
# istiod copies its certificate into every namespace. A second istiod has made them its own by now.
undo_copies() {
  others=$(other_istiods) || stays "ConfigMap $1" 'the cluster does not answer' || return 1
  [ -z "$others" ] || stays "ConfigMap $1 of every namespace" "another istiod uses it: $others" || return 1
  kube delete configmaps --all-namespaces --field-selector "metadata.name=$1" --ignore-not-found || stays "ConfigMap $1" 'it could not be deleted'
}
undo_class() {
  others=$(other_istiods) || stays "gateway class $1" 'the cluster does not answer' || return 1
  [ -z "$others" ] || stays "gateway class $1" "another istiod uses it: $others" || return 1
  # Without the definition there is no class either.
  definition=$(kube get "$CRD/gatewayclasses.gateway.networking.k8s.io" --ignore-not-found -o name) || stays "gateway class $1" 'the cluster does not answer' || return 1
  [ -n "$definition" ] || return 0
  controller=$(kube get gatewayclass "$1" --ignore-not-found -o 'jsonpath={.spec.controllerName}') || stays "gateway class $1" 'the cluster does not answer' || return 1
  # A class of that name with another controller was made by somebody else since.
  [ "$1 $controller" = "$(istiod_classes | grep -F "$1 ")" ] || return 0
  kube delete gatewayclass "$1" --ignore-not-found || stays "gateway class $1" 'it could not be deleted'
}
other_istiods() {
  running=$(kube get deployments --all-namespaces -l app=istiod -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}') || return 1
  say "${running% }"
}

# A definition takes its objects with it when it goes: not while somebody has any.
undo_object() {
  case $1 in
    "$CRD"/*)
      case $1 in
        *.istio.io)
          others=$(other_istiods) || stays "$1" 'the cluster does not answer' || return 1
          [ -z "$others" ] || stays "$1" "another istiod uses it: $others" || return 1
          ;;
      esac
      found=$(kube get "$1" --ignore-not-found -o name) || stays "$1" 'the cluster does not answer' || return 1
      [ -n "$found" ] || return 0
      objects=$(kube get "${1#*/}" --all-namespaces -o name) || stays "$1" 'its objects could not be listed' || return 1
      if [ -n "$objects" ]; then
        stays "$1" "there are objects of this kind: $(printf '%s' "$objects" | head -n 3 | tr '\n' ' ')"
        return 1
      fi
      ;;
  esac
  kube delete "$1" --ignore-not-found || stays "$1" 'it could not be deleted'
}

undo_namespace() {
  found=$(kube get namespace "$1" --ignore-not-found -o name) || stays "namespace $1" 'the cluster does not answer' || return 1
  [ -n "$found" ] || return 0
  if [ "$1" = "$NAMESPACE" ] && [ "$keep_state" = yes ]; then return 2; fi
  others=$(contents "$1") || stays "namespace $1" 'its contents could not be listed' || return 1
  if [ -n "$others" ]; then
    stays "namespace $1" "it holds what this script did not put there: $(printf '%s' "$others" | head -n 3 | tr '\n' ' ')"
    return 1
  fi
  kube delete namespace "$1" --timeout=3m || stays "namespace $1" 'it could not be deleted'
}
# What istiod makes in its own namespace and no chart removes: its authority's key, and one ConfigMap for each
# election (istio/pilot/pkg/leaderelection). These names and no others: users have things called istio-* too.
ISTIOD_MAKES='secret/istio-ca-secret|configmap/istio-(leader|namespace-controller-election|serviceexport-controller-election|clustertrustbundle-controller-election|status-leader|analyze-leader|gateway-status-leader|gateway-inferencepool|node-untaint|ip-autoallocate|ca-crl)'
# What is in a namespace, less what Kubernetes and istiod put into it by themselves.
contents() {
  kinds=$(kube api-resources --namespaced --verbs=list -o name) || return 1
  kinds=$(printf '%s\n' "$kinds" | grep -vE '^(events|endpoints|leases|endpointslices|pods\.metrics|.*\.metrics\.k8s\.io)($|\.)' | tr '\n' ',')
  all=$(kube get "${kinds%,}" -n "$1" --ignore-not-found -o name) || return 1
  printf '%s\n' "$all" | grep -vE '^$|^serviceaccount/default$|^secret/default-token-|^configmap/(kube-root-ca\.crt|istio-ca-root-cert)$' |
    if [ "$1" = istio-system ]; then grep -vxE "$ISTIOD_MAKES" || true; else cat; fi
}

# ── Talking ─────────────────────────────────────────────────────────────────────────────────────────

ask() {
  printf '%s [y/N] ' "$1" >"$TTY"
  IFS= read -r reply <"$TTY" || reply=''
  case $reply in y | Y | yes | Yes) ;; *) return 1 ;; esac
}

explain() {
  while read -r verb first rest; do
    case $verb in
      note) say "  ($first $rest)" ;;
      ask) say "  ask whether to install into the existing kubectl context '$first${rest:+ $rest}'" ;;
      fetch)
        locate "$first"
        say "  - fetch $first: $url, checked against $(checked_against)"
        ;;
      create)
        case $first in k3s | k3d) version=$K3S_VERSION ;; kind) version=$KIND_NODE_IMAGE ;; *) version=$KUBERNETES_VERSION ;; esac
        say "  - create a $first cluster, $version${rest:+, $rest}"
        case $first in
          k3s) explain_source k3s && explain_source k3s-install ;;
          k3d) say '      its image goes by its tag, not checked' ;;
          kind) case $KIND_NODE_IMAGE in *@sha256:*) say '      its image goes by its digest' ;; *) say '      its image goes by its tag, not checked' ;; esac ;;
          minikube) say '      its image and Kubernetes itself are fetched by minikube, not checked by this script' ;;
        esac
        ;;
      use) if [ "$first" = existing ]; then say "  - use kubectl context '$rest'"; else say "  - use the $first cluster that this script made"; fi ;;
      gateway-api)
        [ "$first" = install ] || continue
        say "  - install the Gateway API $GATEWAY_API_VERSION, experimental channel"
        explain_source gateway-api
        ;;
      istio)
        [ "$first" = install ] || continue
        say "  - install Istio $ISTIO_VERSION with TCP and UDP routes, $rest"
        explain_source istio-base
        explain_source istiod
        ;;
      agent)
        say "  - install the agent from $(agent_chart) as '$first' into namespace $NAMESPACE, $rest"
        case $(agent_chart) in *@sha256:*) say '      the chart goes by its digest' ;; oci://*) say '      the chart goes by its tag, not checked' ;; esac
        ;;
    esac
  done <<EOF
$1
EOF
}
explain_source() {
  locate "$1"
  say "      from $url, checked against $(checked_against)"
}
checked_against() { if [ -n "$(pinned "$id")" ]; then say 'the checksum in this script'; else say "${sums:-a checksum you must give}"; fi; }

# Prints the errors of a refused plan in the form all errors have.
explain_errors() {
  while IFS='|' read -r what where remedy; do
    what=${what#error } where=${where# } remedy=${remedy# }
    complain "${what% }" "${where% }" "$remedy"
  done <<EOF
$1
EOF
}
plan_or_exit() {
  if ! plan=$(printf '%s\n' "$facts" | decide); then
    explain_errors "$plan"
    explained=yes
    exit 2
  fi
}

install() {
  facts=$(machine_facts && request_facts && context_facts)
  # The facts were gathered in a subshell: what it found out about the cluster is set here again.
  if [ -n "$recorded" ]; then reach_recorded; fi
  plan_or_exit
  question=$(printf '%s\n' "$plan" | sed -n 's/^ask //p')
  if [ -n "$question" ]; then
    if [ "$dry_run" = yes ]; then
      say "Plan, if you say yes to the existing kubectl context '$question' (as --context does):"
      look_closer "$question" yes
      explain "$plan"
      say 'Plan, if you say no (as --new-cluster does):'
      facts="$facts
answer=no"
      plan_or_exit
      explain "$plan"
      return
    fi
    if ask "Install into the existing kubectl context '$question'?"; then
      look_closer "$question" yes
    else
      facts="$facts
answer=no"
      plan_or_exit
    fi
  else
    case $(printf '%s\n' "$plan" | sed -n 's/^use //p') in
      '') ;;
      existing\ *) look_closer "$(printf '%s\n' "$plan" | sed -n 's/^use existing //p')" '' ;;
      *) look_closer "$context" '' ;;
    esac
  fi
  say 'Plan:'
  explain "$plan"
  [ "$dry_run" = no ] || return 0
  if [ "$(token_state)" = none ]; then ask_for_token; fi
  carry_out "$plan"
  finish
}
# Looks into the cluster that will be used, and decides again.
look_closer() {
  context=$1
  before=$facts
  inside=$(cluster_facts) || die 'the cluster refused to show what is in it' "context $context" 'use a context that may list definitions and read namespace pipeops-system'
  facts="$before
answer=$2
$inside"
  plan_or_exit
  facts=$before
}
finish() {
  say "The agent runs. Look at it: kubectl --context $context -n $NAMESPACE get pods"
  case $(recorded_cluster) in
    existing:*) ;;
    *) say "kubectl finds the new cluster with: export KUBECONFIG=$KUBECONFIG" ;;
  esac
  if [ -d "$bin" ]; then say "Programs fetched for you are in $bin"; fi
  say "Remove it all again: sh install.sh uninstall (record: $record)"
}

# ── Starting ────────────────────────────────────────────────────────────────────────────────────────

clean_up() {
  status=$?
  if [ "$echo_off" = yes ]; then stty echo <"$TTY" || true; fi
  if [ -n "$tmp" ]; then
    rm -rf "$tmp"
    rm -f "$home/lock"
    rmdir "$home" 2>/dev/null || true # only when nothing is left in it
  fi
  # A program that failed has said why, but not what that means here.
  if [ "$status" -ne 0 ] && [ "$explained" = no ]; then
    complain "stopped: ${current_step:-looking at this machine}" 'the message above' 'mend what it says and run this again, or remove what is there by now: sh install.sh uninstall'
    exit 1
  fi
}
interrupted() {
  explained=yes
  if [ -s "$record" ]; then
    complain "interrupted: ${current_step:-looking at this machine}" "the record $record" 'run this again to go on, or remove what is there by now: sh install.sh uninstall'
  else
    complain 'interrupted' 'before anything was added' 'run this again when you like'
  fi
  exit 130
}
prepare_home() {
  usual_umask=$(umask)
  umask 077
  mkdir -p "$home"
  # One at a time: the record is a plain file. A pid is given out again one day, so the lock says since when, too.
  lock_pid='' lock_start=''
  if [ -f "$home/lock" ]; then read -r lock_pid lock_start <"$home/lock" || true; fi
  if [ -n "$lock_pid" ] && kill -0 "$lock_pid" 2>/dev/null && [ "$lock_start" = "$(started_at "$lock_pid")" ]; then
    die "another run of this script is under way (process $lock_pid)" "$home/lock" 'wait for it to end; if there is none, delete that file'
  fi
  printf '%s %s\n' "$$" "$(started_at "$$")" >"$home/lock"
  rm -rf "$home"/tmp.* # of runs that were killed
  tmp=$home/tmp.$$
  mkdir "$tmp"
}
# When a process began: ticks since the machine did, or a date; empty where neither is to be had.
started_at() {
  if [ -r "/proc/$1/stat" ]; then
    # The second field is a name in brackets, with whatever spaces it likes.
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $20 }'
  else
    ps -o lstart= -p "$1" 2>/dev/null | awk '{ $1 = $1; print }' || true
  fi
}
# Empty where there is no place to put it.
default_home() {
  if [ "$(id -u)" -eq 0 ]; then say "$SYSROOT/var/lib/pipeops-installer"; else say "${HOME:+$HOME/.pipeops-installer}"; fi
}

main() {
  case $- in *x*) set +x && warn 'tracing is off from here: it would print the token' ;; esac
  SYSROOT=${PIPEOPS_SYSROOT-} TTY=/dev/tty
  K3S_BIN_DIR=$SYSROOT/usr/local/bin
  tmp='' echo_off=no current_step='' explained=no
  command=install dry_run=no want_context=${PIPEOPS_CONTEXT:-ask} values='' context=''
  assume_yes=no keep_state=no keep_cluster=no cluster_gone=no
  take_token
  parse "$@"
  home=${PIPEOPS_INSTALLER_HOME:-$(default_home)}
  [ -n "$home" ] || die 'there is no place for the record of what is installed' 'HOME is not set' 'set HOME, or name a directory in PIPEOPS_INSTALLER_HOME'
  record=$home/record bin=$home/bin
  PATH=$bin:$PATH:$K3S_BIN_DIR # sudo's own PATH may lack the last, where k3s puts kubectl
  recorded=$(recorded_cluster || true)
  case $command in
    facts) machine_facts && request_facts && context_facts ;;
    decide) decide ;;
    install | uninstall)
      trap clean_up EXIT
      trap interrupted INT TERM HUP
      if [ "$dry_run" = no ]; then prepare_home; fi
      "$command"
      ;;
  esac
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      install | uninstall | facts | decide) command=$1 ;;
      --dry-run) dry_run=yes ;;
      --new-cluster) want_context=none ;;
      --context | --values)
        [ $# -ge 2 ] || { complain "$1 needs a value" 'the command line' 'see --help' && exit 2; }
        if [ "$1" = --context ]; then want_context=$2; else values=$2; fi
        if [ "$1" = --values ] && [ ! -r "$2" ]; then complain "'$2' cannot be read" '--values' 'check the path' && exit 2; fi
        shift
        ;;
      --yes) assume_yes=yes ;;
      --keep-state) keep_state=yes ;;
      --keep-cluster) keep_cluster=yes ;;
      --cluster-gone) cluster_gone=yes ;;
      --help | -h) usage && exit 0 ;;
      *)
        # Never shown: somebody may have put the token here.
        complain 'an argument this script does not know' 'the command line' 'see --help; the token belongs into PIPEOPS_TOKEN_FILE'
        exit 2
        ;;
    esac
    shift
  done
}

# In braces: cut off anywhere in this line, it is no command.
{ main "$@"; }
