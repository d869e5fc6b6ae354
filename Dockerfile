# One image that is a Beam worker and contains the commands corpus and trainer.
#
#   docker build --tag corpusmill .
#   docker run --rm --volume "$PWD:/data" --workdir /data --entrypoint corpus corpusmill \
#       build recipe.toml --home home
#   docker run --rm --volume "$PWD:/data" --workdir /data --entrypoint trainer --gpus all \
#       corpusmill --help
#
# As a worker it needs no arguments: the engine starts its entry point and adds its own. Python's
# minor version and Beam's version must equal those of the machine that submits the job;
# tests/test_dockerfile.py compares them with constraints.txt.
FROM python:3.11-slim

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

# The locked packages come first, so that this layer is rebuilt only when the lock changes.
WORKDIR /opt/corpusmill
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY shards/__init__.py shards/version.py shards/
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

# Beam's boot program has the version of the lock's apache-beam. It starts the worker of the
# installed SDK.
COPY --from=apache/beam_python3.11_sdk:2.77.0 /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]
