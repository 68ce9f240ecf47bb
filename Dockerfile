# The gateway, its workers and the sandbox: one image, the command says which.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements requirements
RUN python -m venv /build && /build/bin/pip install --no-cache-dir --require-hashes -r requirements/dev.txt
RUN python -m venv /opt/sluice && /opt/sluice/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN /build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/sluice/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.12-slim
# Not root, so that the embedded PostgreSQL (used when SLUICE_DATABASE_URL is not set) runs as this user too.
RUN useradd --create-home --uid 10001 sluice && install -d -o sluice -g sluice /var/lib/sluice /sandbox
COPY --from=build /opt/sluice /opt/sluice
ENV PATH=/opt/sluice/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SLUICE_HOST=0.0.0.0 \
    SLUICE_DATA_DIR=/var/lib/sluice
USER sluice
WORKDIR /var/lib/sluice
VOLUME ["/var/lib/sluice"]
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["sluice"]
CMD ["serve"]
