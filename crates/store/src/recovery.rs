//! What a store begins with: the newest of what is there, be it the file in memory of a killed process, a snapshot, or a database on the
//! disk from before `store.memory` was changed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    StoreError, file,
    snapshot::{SnapshotFile, Snapshots, expand},
    sqlite::{blocking, copy_database, verify},
};

/// Where the contents of a store may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Database(PathBuf),
    Snapshot(SnapshotFile),
}

/// The places where contents are, the newest in front. A database in memory is newer than every snapshot, which is a copy of it; whoever puts
/// something else in its place removes it.
pub(crate) fn places(memory: Option<&Path>, disk: &Path, snapshots: &Snapshots) -> Vec<Place> {
    let snapshots = snapshots.list();
    let taken = |found: &SnapshotFile| UNIX_EPOCH + Duration::from_millis(found.at.0);
    let newest = snapshots.first().map(taken);
    let place = |path: &Path| Some((file::last_written(path)?, Place::Database(path.to_owned())));
    let memory = memory.and_then(place).map(|(at, place)| (newest.map_or(at, |newest| at.max(newest)), place));
    let snapshots = snapshots.into_iter().map(|found| (taken(&found), Place::Snapshot(found)));
    let mut places: Vec<(SystemTime, Place)> = memory.into_iter().chain(place(disk)).chain(snapshots).collect();
    // Those of one time stay in this order.
    places.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    places.into_iter().map(|(_, place)| place).collect()
}

/// Brings the newest good contents to `active`, whose lock the caller holds. A snapshot that is damaged is set aside, and the one before it
/// is taken. Where nothing good is left, `active` is absent afterwards, and the log says so.
///
/// # Errors
/// A snapshot is of a newer version of this program, or `active` cannot be written.
pub(crate) async fn bring_newest(
    active: &Path,
    places: Vec<Place>,
    in_memory: bool,
    snapshots: &Arc<Snapshots>,
) -> Result<(), StoreError> {
    let mut damaged = false;
    for place in places {
        let brought = match &place {
            // What lies on the disk is used as it is, and whoever opens it says what is wrong.
            Place::Database(path) if path == active && !in_memory => return Ok(()),
            Place::Database(path) if path == active => verify(path).await,
            Place::Database(path) => {
                install(active, path, in_memory, copy_database(path, &file::reserve(active)?).await).await
            }
            Place::Snapshot(found) => {
                let (from, to) = (found.path.clone(), file::reserve(active)?);
                install(active, &found.path, in_memory, blocking(move || expand(&from, &to)).await).await
            }
        };
        match brought {
            Ok(()) => {
                announce(&place, active, in_memory);
                return leave(&place, active, in_memory);
            }
            Err(
                error @ (StoreError::Corrupt { .. } | StoreError::NotADatabase { .. } | StoreError::Foreign { .. }),
            ) => {
                set_aside(&place, active, &error, snapshots)?;
                damaged = true;
            }
            Err(error) => return Err(error),
        }
    }
    if damaged {
        tracing::error!(
            "nothing that the store could begin with is undamaged: it begins EMPTY; `hezar restore` takes a backup"
        );
    }
    Ok(())
}

/// Gives the copy beside `active` its name when it is good. What lies there is older: on a disk it is kept under another name.
async fn install(
    active: &Path,
    from: &Path,
    in_memory: bool,
    copied: Result<(), StoreError>,
) -> Result<(), StoreError> {
    let partial = file::beside(active, file::PARTIAL);
    let good = match copied {
        Ok(()) => verify(&partial).await,
        failed => failed,
    };
    if let Err(error) = good {
        let _ = file::remove(&partial);
        return Err(error.about(from));
    }
    if in_memory {
        file::remove(active)?;
    } else if let Some(kept) = file::move_aside(active)? {
        tracing::warn!(file = %kept.display(), "the database on the disk is older than the snapshots: it was moved here");
    }
    file::publish(&partial, active, true)
}

fn set_aside(place: &Place, active: &Path, error: &StoreError, snapshots: &Snapshots) -> Result<(), StoreError> {
    match place {
        Place::Snapshot(found) => {
            tracing::error!(%error, file = %found.path.display(), "a snapshot is damaged: it is set aside, and the one before it is used");
            snapshots.set_aside(found);
        }
        Place::Database(path) => {
            tracing::error!(%error, file = %path.display(), "this database is damaged, and what is older is used");
            if path == active {
                file::remove(path)?;
            }
        }
    }
    Ok(())
}

/// Removes a database in memory that is used on the disk from now on. One on the disk stays: nobody misses the room.
fn leave(place: &Place, active: &Path, in_memory: bool) -> Result<(), StoreError> {
    match place {
        Place::Database(path) if path != active && !in_memory => file::remove(path),
        _ => Ok(()),
    }
}

fn announce(place: &Place, active: &Path, in_memory: bool) {
    match place {
        Place::Snapshot(found) => {
            let age = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_millis(found.at.0));
            let age_s = age.unwrap_or_default().as_secs();
            tracing::info!(snapshot = %found.path.display(), age_s, "the store begins with a snapshot");
        }
        Place::Database(path) if path != active => {
            tracing::info!(database = %path.display(), "the store begins with the contents of another database");
        }
        Place::Database(_) if in_memory => {
            tracing::info!("the store in memory has outlived the last process: nothing is lost");
        }
        Place::Database(_) => {}
    }
}
