#!/usr/bin/env bash
# Builds both images of deploy/Dockerfile with `make image` and runs them as deploy/README.md says. With a Docker engine that is
# all; without one it takes podman, as root, and where docker.io cannot be reached it makes a stand-in for the base image from
# Debian's packages. Everything but the Docker engine's build cache is gone at the end. Exit code 77: cannot be done here, and why.
#   BASE=file.tar tests/serving/image.sh      keeps the stand-in there, and takes it from there the next time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PYTHON_IMAGE=$(sed -n 's/^FROM \(docker\.io[^ ]*\).*/\1/p' deploy/Dockerfile | head -1)
work=$(mktemp -d "${TMPDIR:-/tmp}/gpt2news-image.XXXXXX")
tag=gpt2-news-test-$$
began=$SECONDS

skip() { echo "image.sh: skipped: $*"; exit 77; }
fail() { echo "image.sh: FAILED: $*" >&2; exit 1; }
say() { printf '%4d s  %s\n' $((SECONDS - began)) "$*"; }
now() { date +%s%N; }

clean_up() {
  code=$?
  trap - EXIT INT TERM
  set +e
  for name in "$tag-api" "$tag-sagemaker" "$tag-app"; do
    [ $code = 0 ] || [ $code = 77 ] || "${engine:-true}" logs "$name" 2>&1 | sed "s/^/$name: /" | tail -30
    "${engine:-true}" rm --force "$name" >/dev/null 2>&1
  done
  if [ "${engine:-}" = docker ]; then
    docker image rm --force "$tag:api" "$tag:app" >/dev/null 2>&1
  fi
  grep -o " $work/[^ ]*" /proc/mounts 2>/dev/null | sort -r | while read -r mounted; do umount "$mounted"; done
  rm -rf "$work"
  exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- which tools ------------------------------------------------------------------------------------------------------

command -v curl >/dev/null || skip "curl is not installed"
build_flags=() run_flags=()
if docker info >/dev/null 2>&1; then
  engine=docker
  run_flags=(--health-interval 1s)
else
  [ "$(id -u)" = 0 ] || skip "no Docker engine answers, and podman here wants root"
  for tool in podman runc nsenter; do command -v $tool >/dev/null || skip "no Docker engine answers, and $tool is not installed"; done
  engine=podman
  # A store of our own, so that nothing on this machine is touched; runc and cgroupfs also work inside a container.
  mkdir "$work/storage" "$work/run" "$work/tmp"
  printf '[storage]\ndriver = "%s"\ngraphroot = "%s"\nrunroot = "%s"\n' "${STORAGE_DRIVER:-overlay}" "$work/storage" "$work/run" > "$work/storage.conf"
  printf '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\ntmp_dir = "%s"\n' "$work/tmp" > "$work/containers.conf"
  export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_CONF=$work/containers.conf BUILDAH_ISOLATION=chroot TMPDIR=$work/tmp
  podman info >/dev/null 2>"$work/why" || skip "podman does not work here: $(tail -1 "$work/why")"
  build_flags=(--network host -v /etc/ssl/certs:/etc/ssl/certs:ro)
  run_flags=(--network none --read-only-tmpfs=false --ulimit nofile=4096:4096 --ulimit nproc=4096:4096)

  if [ ! -s "${BASE:-}" ] && timeout 120 podman pull --quiet "$PYTHON_IMAGE" >/dev/null 2>&1; then
    say "base image pulled"
  else
    base=${BASE:-$work/base.tar}
    if [ ! -s "$base" ]; then
      command -v mmdebstrap >/dev/null || skip "docker.io cannot be reached, and mmdebstrap is not installed"
      lean=()
      for folder in doc man info locale; do lean+=(--dpkgopt="path-exclude=/usr/share/$folder/*"); done
      # shellcheck disable=SC2016
      hook='rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED && ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
      mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv --dpkgopt=force-unsafe-io \
        "${lean[@]}" --customize-hook="$hook" bookworm "$work/new.tar" 2>"$work/why" || skip "no base image: $(tail -1 "$work/why")"
      mv "$work/new.tar" "$base"
    fi
    podman import --quiet -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' -c 'ENV LANG=C.UTF-8' \
      -c 'CMD ["python3"]' "$base" "$PYTHON_IMAGE" >/dev/null
    rm -f "$work/base.tar"
    build_flags+=(--pull=never)
    say "base image: a stand-in made of Debian's packages, $(($(podman image inspect --format '{{.Size}}' "$PYTHON_IMAGE") / 1000000)) MB"
  fi
fi

# How pip reaches an index from this machine goes to the build as a secret.
echo '[global]' > "$work/pip.conf"
python3 -m pip config list 2>/dev/null | sed -n "s/^\(global\|:env:\)\.\([a-z-]*\)='\(.*\)'$/\2 = \3/p" |
  grep -E '^(index-url|extra-index-url|trusted-host|cert|proxy|timeout) = ' | grep -v '= file:' | sort -u -t= -k1,1 >> "$work/pip.conf" || true
build_flags+=(--secret "id=pipconf,src=$work/pip.conf")

# --- how to ask -------------------------------------------------------------------------------------------------------

start() {  # start NAME IMAGE FLAGS… -- ARGUMENTS…: runs it as tightly as the README says, and waits until it is healthy
  local name=$1 image=$2 port=$3 flags=() from
  shift 3
  while [ "$1" != -- ]; do flags+=("$1"); shift; done
  shift
  [ $engine = docker ] && flags+=(-p "127.0.0.1::$port")
  from=$(now)
  "$engine" run -d --name "$name" --read-only --tmpfs /tmp:rw,size=64m,mode=1777 --cap-drop ALL --security-opt no-new-privileges \
    --memory 512m --pids-limit 128 "${run_flags[@]}" "${flags[@]}" "$image" "$@" >/dev/null
  until healthy "$name"; do
    [ "$("$engine" inspect --format '{{.State.Running}}' "$name")" = true ] || fail "$name ended"
    [ $(($(now) - from)) -lt 10000000000 ] || fail "$name is not healthy after 10 s"
    sleep 0.2
  done
  say "$name: healthy after $((($(now) - from) / 100000000))e-1 s"
}

healthy() {
  if [ $engine = podman ]; then podman healthcheck run "$1" >/dev/null 2>&1; return; fi
  [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

# Asked at 127.0.0.2 inside the container's own network: a server that listens on 127.0.0.1 only would not answer.
ask() {  # ask NAME PORT PATH CURL-FLAGS…
  local name=$1 port=$2 path=$3
  shift 3
  if [ $engine = podman ]; then
    nsenter -t "$(podman inspect --format '{{.State.Pid}}' "$name")" -n curl -sS --noproxy '*' --max-time 20 "$@" "http://127.0.0.2:$port$path"
  else
    curl -sS --noproxy '*' --max-time 20 "$@" "http://$(docker port "$name" "$port" | head -1)$path"
  fi
}

topics() { grep -o '"topic": *"[^"]*"' | sed 's/.*"\([^"]*\)"$/\1/' | tr '\n' ' '; }

bounded() {  # bounded NAME: not root, nothing to write to but /tmp, no torch
  local uid
  uid=$("$engine" exec "$1" id -u)
  [ "$uid" != 0 ] || fail "$1 runs as root"
  "$engine" exec "$1" sh -c 'touch /tmp/x && ! touch /var/tmp/x 2>/dev/null' || fail "$1: the root is not read-only, or /tmp is"
  "$engine" exec "$1" python -c 'import importlib.util as u; assert not (u.find_spec("torch") or u.find_spec("transformers"))' || fail "$1 has torch"
  say "$1: uid $uid, read-only root, no torch"
}

stop() {  # stop NAME: on SIGTERM, by itself
  local from code
  from=$(now)
  "$engine" stop -t 20 "$1" >/dev/null
  code=$("$engine" inspect --format '{{.State.ExitCode}}' "$1")
  [ "$code" != 137 ] || fail "$1 did not stop within 20 s of SIGTERM and was killed"
  say "$1: stopped in $((($(now) - from) / 100000000))e-1 s, exit code $code"
}

build() {  # build TARGET LARGEST-MB
  local from=$SECONDS mb
  make --no-print-directory image TARGET="$1" IMAGE="$tag:$1" ARGS="${build_flags[*]}" >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "make image TARGET=$1"; }
  mb=$(($("$engine" image inspect --format '{{.Size}}' "$tag:$1") / 1000000))
  say "$1: built in $((SECONDS - from)) s, $mb MB (at most $2)"
  [ "$mb" -le "$2" ] || fail "the image is too large"
}

# --- the API ----------------------------------------------------------------------------------------------------------

texts='{"texts": ["The keeper saved two penalties and the visitors went through to the cup final after extra time.",
  "Shares in the airline fell nine per cent after it cut its profit forecast and the bank raised its interest rates.",
  "Parliament voted late last night; the prime minister said the party would fight the election on its tax policy."]}'

build api 450
start "$tag-api" "$tag:api" 8080 --
bounded "$tag-api"
[ "$(ask "$tag-api" 8080 /invocations -H 'content-type: application/json' -d "$texts" | topics)" = "sport business politics " ] || fail "wrong topics"
[ "$(ask "$tag-api" 8080 /endpoints/any/invocations -d '{"text": "The striker scored twice in the cup final."}' | topics)" = "sport " ] ||
  fail "wrong topic at the address that boto3 calls"
say "$tag-api: right topics"
stop "$tag-api"

# As SageMaker starts it: the argument `serve`, a port of its choice, its own model. Ours says SPORT, so it is seen which one answers.
cp -r models/gpt2-mini-bbc "$work/model"
sed -i 's/"sport"/"SPORT"/' "$work/model/serving.json"
chmod -R a+rX "$work/model"
start "$tag-sagemaker" "$tag:api" 9090 -e SAGEMAKER_BIND_TO_PORT=9090 -v "$work/model:/opt/ml/model:ro" -- serve
[ "$(ask "$tag-sagemaker" 9090 /invocations -H 'content-type: application/json' -d "$texts" | topics)" = "SPORT business politics " ] ||
  fail "the model in /opt/ml/model does not answer"
say "$tag-sagemaker: the model in /opt/ml/model answers"
stop "$tag-sagemaker"

# --- the app ----------------------------------------------------------------------------------------------------------

build app 800
start "$tag-app" "$tag:app" 8501 --
bounded "$tag-app"
[[ "$(ask "$tag-app" 8501 / -o /dev/null -w '%{http_code} %{content_type}')" == "200 text/html"* ]] || fail "the page does not answer"
say "$tag-app: the page answers"
stop "$tag-app"
say "done"
