-- Run once, on an empty volume. The database `feast` is made by the image's POSTGRES_DB.
CREATE DATABASE mlflow;
