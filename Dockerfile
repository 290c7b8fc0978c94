# dicom-anon as a module of mercure: docker build -t dicom-anon-mercure:VERSION .
# Slim, not root, nothing to write but OUT. It has `cat`, which mercure runs first, and no /etc/monai/app.json.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY dicom_anon dicom_anon
RUN python -m venv /opt/dicom-anon \
 && /opt/dicom-anon/bin/pip install --no-cache-dir . \
 && /opt/dicom-anon/bin/pip uninstall --yes pip \
 && /opt/dicom-anon/bin/python -m compileall -q /opt/dicom-anon/lib

FROM python:3.13-slim
COPY --from=build /opt/dicom-anon /opt/dicom-anon
COPY --chmod=755 docker/entrypoint.sh /opt/dicom-anon/bin/entrypoint.sh
ENV PATH=/opt/dicom-anon/bin:$PATH
USER 65534:65534
CMD ["entrypoint.sh"]
