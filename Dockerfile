# One image: a Beam worker, and the commands corpus and trainer.
#
#   docker build --tag corpusmill .
#   docker run --rm --entrypoint corpus --volume "$PWD:/data" --workdir /data corpusmill build recipe.toml --home home
#   docker run --rm --entrypoint trainer --gpus all --volume "$PWD:/data" --workdir /data corpusmill --help
#
# As a worker it needs no argument: the engine starts its entry point with its own. Python's minor version and Beam's
# version are those of whoever submits the job, and tests/test_dockerfile.py holds them to constraints.txt.
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

# The locked packages first: this layer is built again only when the lock changes.
WORKDIR /opt/corpusmill
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY shards/__init__.py shards/
RUN mkdir corpora pipelines trainer \
    && pip install --constraint constraints.txt '.[all]' \
    && pip uninstall --yes corpusmill

COPY corpora corpora
COPY pipelines pipelines
COPY shards shards
COPY trainer trainer
RUN pip install --no-deps . \
    && pip check \
    && corpus --version

# Beam's boot program, of the same version as the lock's apache-beam; it starts the installed SDK's worker.
COPY --from=apache/beam_python3.11_sdk:2.77.0 /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]
