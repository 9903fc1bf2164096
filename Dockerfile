FROM python:3.13-slim
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir ./sdk/python ".[scale]" && useradd --create-home app \
    && install -d -o app /data
USER app
ENV SWITCHGEAR_DATA_DIR=/data SWITCHGEAR_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 8000 4318
CMD ["python", "manage.py", "up"]
